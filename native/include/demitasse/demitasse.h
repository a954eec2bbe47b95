// The functions that Java calls: a device of one instruction set and a number of threads, which runs lists of commands.
#pragma once

#include <cstdint>

#include "demitasse/command.h"

namespace demitasse {

// Instruction sets, best last on each platform.
enum class InstructionSet : int64_t { SSE42, AVX2, AVX2_VNNI, AVX512_VNNI, AMX, NEON, DOTPROD, I8MM, COUNT };

// Bit i is set where instruction set i is built in and this machine has it.
int instruction_sets();

// The version of the boundary: the first 15 hexadecimal digits, as a number, of the SHA-256 of the bytes of command.h
// and then demitasse.h. A caller that was built from other headers must not call anything else.
int64_t boundary_fingerprint();

// A device, or 0 where the instruction set is not there or the machine gives no threads. One thread at a time may use
// it.
int64_t open_device(int instruction_set, int threads);

// Waits for the threads and frees the device.
void close_device(int64_t device);

// Runs count commands at the address, and returns when all are complete: 0, or 1 where memory for scratch was not to be
// had, and nothing ran.
int run_commands(int64_t device, int64_t commands, int count);

}  // namespace demitasse
