option(DEMITASSE_ZIG "Whether the compiler is zig c++" OFF)
option(DEMITASSE_SIMDE
  "Build the kernels for VNNI over SIMDe, so that their tests run on any x86-64 with AVX2 (slowly)" OFF)

# One translation unit an instruction set, each with its own flags; which of them runs is decided at start.
function(demitasse_instruction_sets target)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
    set(avx2 -mavx2 -mfma -mf16c)
    demitasse_instruction_set(${target} sse42 -msse4.2)
    demitasse_instruction_set(${target} avx2 ${avx2})
    if(DEMITASSE_SIMDE)
      target_compile_definitions(${target} PRIVATE DEMITASSE_SIMDE_TESTS)
      # -O1: with -O3 SIMDe's loops for vectors of 512 bits take seven minutes to compile.
      set(simde ${avx2} -O1 -w -include "${PROJECT_SOURCE_DIR}/tests/simde.h")
      demitasse_instruction_set(${target} avx2_vnni ${simde} -DDEMITASSE_SIMDE=256)
      demitasse_instruction_set(${target} avx512_vnni ${simde} -DDEMITASSE_SIMDE=512)
      demitasse_instruction_set(${target} amx ${simde} -DDEMITASSE_SIMDE=512)
      return()
    endif()
    demitasse_instruction_set(${target} avx2_vnni ${avx2} -mavxvnni)
    # GCC 12 takes the intrinsics' own undefined registers for a fault (bug 105593).
    set(avx512 ${avx2} -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mprefer-vector-width=512
      $<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized>
      $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
    demitasse_instruction_set(${target} avx512_vnni ${avx512})
    demitasse_instruction_set(${target} amx ${avx512} -mamx-tile -mamx-int8)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    # zig knows names of processors, to which features are added, and none of architectures.
    set(armv8 $<IF:$<BOOL:${DEMITASSE_ZIG}>,-mcpu=generic+neon,-march=armv8-a>)
    set(armv8_2 $<IF:$<BOOL:${DEMITASSE_ZIG}>,-mcpu=generic+v8_2a,-march=armv8.2-a>)
    demitasse_instruction_set(${target} neon ${armv8})
    demitasse_instruction_set(${target} dotprod ${armv8_2}+dotprod)
    demitasse_instruction_set(${target} i8mm ${armv8_2}+dotprod+i8mm)
  else()
    message(FATAL_ERROR "demitasse has kernels for x86-64 and AArch64, not for ${CMAKE_SYSTEM_PROCESSOR}")
  endif()
endfunction()

function(demitasse_instruction_set target name)
  target_sources(${target} PRIVATE kernels/${name}.cpp)
  set_source_files_properties(kernels/${name}.cpp PROPERTIES COMPILE_OPTIONS "${ARGN}")
endfunction()
