#include "models/weights.h"

#include "base/error.h"

namespace quern {
namespace {

// Some writers keep a matrix of one row as a vector.
Shape without_leading_ones(const Shape& shape) {
    Shape out;
    bool leading = true;
    for (int axis = 0; axis < shape.rank(); ++axis) {
        leading = leading && shape[axis] == 1;
        if (!leading) out.append(shape[axis]);
    }
    return out;
}

}  // namespace

TensorView find_weight(const GgufFile& file, const std::string& name, const Shape& shape, Presence presence) {
    const GgufTensor* tensor = file.find_tensor(name);
    if (!tensor) {
        if (presence == Presence::optional) return {};
        throw ModelError(concat(file.path(), ": tensor ", name, " is missing"));
    }
    TensorView view = tensor->view;
    if (without_leading_ones(view.shape) == without_leading_ones(shape)) view.shape = shape;
    if (view.shape != shape)
        throw ModelError(concat(file.path(), ": tensor ", name, " is ", to_string(tensor->view.shape), ", but the model's keys ask for ",
                                to_string(shape)));
    if ((shape.rank() == 1 || name.ends_with(".bias")) && view.dtype != DType::f32)
        throw ModelError(concat(file.path(), ": tensor ", name, " is ", dtype_name(view.dtype), ", but a vector must be F32"));
    return view;
}

TensorView rows_of(const TensorView& whole, int64_t first, int64_t n) {
    if (!whole.data) return {};
    const bool is_vector = whole.shape.rank() == 1;
    const int64_t n_cols = is_vector ? 1 : whole.shape.n_cols();
    QUERN_CHECK(first >= 0 && n > 0 && first + n <= whole.shape[0]);
    const uint64_t offset = static_cast<uint64_t>(first) * row_bytes(whole.dtype, static_cast<uint64_t>(n_cols));
    return {whole.dtype, is_vector ? Shape{n} : Shape{n, n_cols}, whole.data + offset};
}

}  // namespace quern
