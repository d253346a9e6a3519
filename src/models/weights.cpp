#include "models/weights.h"

#include "base/error.h"

namespace quern {

TensorView find_weight(const GgufFile& file, const std::string& name, const Shape& shape, Presence presence) {
    const GgufTensor* tensor = file.find_tensor(name);
    if (!tensor) {
        if (presence == Presence::optional) return {};
        throw ModelError(concat(file.path(), ": tensor ", name, " is missing"));
    }
    if (tensor->view.shape != shape)
        throw ModelError(concat(file.path(), ": tensor ", name, " is ", to_string(tensor->view.shape), ", but the model's keys ask for ",
                                to_string(shape)));
    if (shape.rank() == 1 && tensor->view.dtype != DType::f32)
        throw ModelError(concat(file.path(), ": tensor ", name, " is ", dtype_name(tensor->view.dtype), ", but a vector must be F32"));
    return tensor->view;
}

}  // namespace quern
