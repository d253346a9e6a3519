// What a model file says about itself: for lists and descriptions of models, loaded or not.
#pragma once

#include <cstdint>
#include <string>

#include "text/chat/chat_template.h"

namespace quern {

struct ModelFacts {
    std::string name;           ///< general.name, or ""
    std::string architecture;   ///< general.architecture, or ""
    std::string quantization;   ///< "Q4_K_M": general.file_type, else the format that most bytes have
    std::string license;        ///< its text, else its name, or ""
    std::string chat_template;  ///< Jinja source, or ""
    std::string parts;          ///< a line for each tensor: name, format and shape. Two files that differ in it are two models
    uint64_t n_params = 0, file_bytes = 0;
    int64_t modified = 0;  ///< of the file, in seconds since 1970
    bool makes_vectors = false;
    Json metadata = Json::object();  ///< all keys of the file; arrays only when asked for, else null
};

/// Reads the header of the file. @throws ModelError
ModelFacts read_model_facts(const std::string& path, bool with_arrays = false);

}  // namespace quern
