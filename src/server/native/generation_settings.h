// How an answer is sampled, under the names of llama.cpp's server.
#pragma once

#include "sampling/params.h"
#include "text/chat/chat_template.h"

namespace quern {

Json sampling_settings(const SamplingParams& sampling);

}  // namespace quern
