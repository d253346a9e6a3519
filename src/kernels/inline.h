// Code in kernel headers is compiled once for each instruction set. An ordinary inline function could be emitted for AVX-512 and then
// be the copy that the linker keeps for all, so these are never emitted at all.
#pragma once

#define QUERN_INLINE [[gnu::always_inline]] inline
