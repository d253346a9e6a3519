#include "base/version.h"

namespace quern {

const char* program_version() { return QUERN_VERSION; }

}  // namespace quern
