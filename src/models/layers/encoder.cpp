#include "models/layers/encoder.h"

#include "base/error.h"
#include "models/layers/key_reader.h"
#include "models/layers/read_pooling.h"

namespace quern {

DecoderConfig read_encoder_config(const GgufFile& file) {
    DecoderConfig config = read_decoder_config(file, RopeStyle::halves);
    require_no_experts(file, config);
    require_equal_heads(file, config);
    if (config.n_kv_heads != config.n_heads || config.q_width() != config.n_embd)
        throw ModelError(concat(file.path(), ": ", config.n_heads, " heads of ", config.head_dim, " with ", config.n_kv_heads,
                                " for keys and values: this architecture has as many of both, and embedding_length values in all"));
    return config;
}

int64_t read_token_types(const GgufFile& file) {
    const int64_t n = file.metadata().integer("tokenizer.ggml.token_type_count").value_or(2);
    if (n < 1 || n > 1 << 16) throw ModelError(concat(file.path(), ": key tokenizer.ggml.token_type_count is ", n, ", outside 1 to 65536"));
    return n;
}

// Where the file names no way, a text still has a vector: the mean, as sentence-transformers takes it; and a pair its scores.
Encoder::Encoder(const GgufFile& file)
    : config_(read_encoder_config(file)),
      head_(ClassifierHead::load(file, config_.n_embd)),
      pooling_(read_pooling(file).value_or(head_ ? Pooling::rank : Pooling::mean)) {
    if (pooling_ == Pooling::rank && !head_)
        throw ModelError(concat(file.path(),
                                ": pooling_type says that the model ranks pairs of texts, but the tensors cls.weight and "
                                "cls.output.weight are missing"));
}

}  // namespace quern
