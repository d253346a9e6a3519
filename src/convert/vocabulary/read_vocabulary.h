// Finds the tokenizer of a checkpoint's folder, whichever of its many files hold it.
#pragma once

#include <string>

#include "convert/vocabulary/converted_vocabulary.h"
#include "convert/vocabulary/tokenizer_json.h"
#include "models/checkpoint_config.h"

namespace quern {

/// @param kinds   which files to look at, in this order, separated by commas: spm (tokenizer.model), hfft (tokenizer.json), bpe (vocab.json
///                and merges.txt, or a tokenizer.json of that kind), tiktoken (*.tiktoken), wordpiece (vocab.txt), fairseq (XLM-RoBERTa's
///                sentencepiece.bpe.model). Empty: all.
/// @throws ModelError    naming the file at fault, or when there is none
/// @throws InvalidInput  for a kind that does not exist
ConvertedVocabulary read_vocabulary(const std::string& folder, const CheckpointConfig& config, const std::string& kinds,
                                    const VocabularyWarning& warn);

}  // namespace quern
