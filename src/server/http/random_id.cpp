#include "server/http/random_id.h"

#include <openssl/rand.h>

#include <array>

#include "base/error.h"

namespace quern {

std::string random_id(std::string_view prefix) {
    static constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    std::array<unsigned char, 24> bytes;
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) throw DeviceError("the system gives no random numbers");
    std::string id(prefix);
    for (const unsigned char byte : bytes) id += letters[byte % letters.size()];
    return id;
}

}  // namespace quern
