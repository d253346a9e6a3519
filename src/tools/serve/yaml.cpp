#include "tools/serve/yaml.h"

#include <charconv>

#include <yaml-cpp/yaml.h>

#include "base/error.h"

namespace quern {
namespace {

constexpr int max_depth = 32;
constexpr int max_values = 100'000;  // an alias counts as often as it is used

class Converter {
  public:
    Json convert(const YAML::Node& node, int depth) {
        if (depth > max_depth) throw InvalidInput("it is nested too deeply");
        if (++n_values_ > max_values) throw InvalidInput("it is too large");
        switch (node.Type()) {
            case YAML::NodeType::Scalar:
                return scalar(node);
            case YAML::NodeType::Sequence: {
                Json list = Json::array();
                for (const YAML::Node& each : node) list.push_back(convert(each, depth + 1));
                return list;
            }
            case YAML::NodeType::Map: {
                Json object = Json::object();
                for (const auto& each : node) object[key(each.first)] = convert(each.second, depth + 1);
                return object;
            }
            default:
                return nullptr;
        }
    }

  private:
    static std::string key(const YAML::Node& node) {
        if (!node.IsScalar()) throw InvalidInput("a key is no text");
        return node.Scalar();
    }

    static Json scalar(const YAML::Node& node) {
        const std::string& text = node.Scalar();
        if (node.Tag() == "!") return text;  // quoted
        if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
        if (text == "true" || text == "True" || text == "TRUE") return true;
        if (text == "false" || text == "False" || text == "FALSE") return false;
        int64_t integer = 0;
        const char* end = text.data() + text.size();
        const auto whole = std::from_chars(text.data(), end, integer);
        if (whole.ec == std::errc() && whole.ptr == end) return integer;
        double number = 0;
        const auto real = std::from_chars(text.data(), end, number);
        if (real.ec == std::errc() && real.ptr == end && text.find_first_of("0123456789") != std::string::npos) return number;
        return text;
    }

    int n_values_ = 0;
};

}  // namespace

Json json_from_yaml(const std::string& text) {
    try {
        return Converter().convert(YAML::Load(text), 0);
    } catch (const YAML::Exception& error) {
        throw InvalidInput(error.what());
    }
}

}  // namespace quern
