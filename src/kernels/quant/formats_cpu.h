// Every format's Unpacked.
#pragma once

#include "kernels/quant/formats.h"
#include "kernels/quant/k/q2_k_cpu.h"
#include "kernels/quant/k/q3_k_cpu.h"
#include "kernels/quant/k/q4_k_cpu.h"
#include "kernels/quant/k/q5_k_cpu.h"
#include "kernels/quant/k/q6_k_cpu.h"
#include "kernels/quant/legacy/q4_0_cpu.h"
#include "kernels/quant/legacy/q4_1_cpu.h"
#include "kernels/quant/legacy/q5_0_cpu.h"
#include "kernels/quant/legacy/q5_1_cpu.h"
#include "kernels/quant/legacy/q8_0_cpu.h"
