// Prose, facts, talk, code, numbers and other languages: some of each that people ask models for. Written for this purpose.
#include "tools/quantize/fit.h"

namespace quern {

const char* const fit_sample_text =
    R"(The harbour had frozen over in the second week of January, and for the first time in thirty years people walked out to the lighthouse. Old
Marten said that the ice would not hold past Sunday. Nobody listened to him, because he had said the same about the bridge, and the bridge was
still there.

Water boils at 100 degrees Celsius at sea level, but at only about 93 degrees in a town 2,000 metres up, since the air above presses less. This
is why rice takes longer to cook in the mountains. In 1783 the brothers Montgolfier let a sheep, a duck and a rooster fly over Versailles; all
three came down alive.

User: Can you explain what a mortgage is in two sentences?
Assistant: A mortgage is a loan for buying a house, in which the house itself is the bank's security. If you stop paying, the bank may sell the
house to get its money back.

def moving_average(values, width):
    """Mean of each window of `width` neighbours."""
    total = sum(values[:width])
    yield total / width
    for i in range(width, len(values)):
        total += values[i] - values[i - width]
        yield total / width

1. Wash the lentils. 2. Fry the onion in oil until it is brown. 3. Add cumin, then 600 ml of water. 4. Simmer for 25 minutes.

If 3x + 7 = 22, then 3x = 15 and x = 5. The prime numbers below 30 are 2, 3, 5, 7, 11, 13, 17, 19, 23 and 29.

Der Zug nach Hamburg hat heute zehn Minuten Verspätung. La bibliothèque ferme à dix-neuf heures le samedi. El perro duerme debajo de la mesa.

{"name": "Ada", "tags": ["early", "reader"], "score": 0.87}
)";

}  // namespace quern
