# What every C++ target is compiled with.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release, Debug or RelWithDebInfo" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG")

option(DEMITASSE_SANITIZE "Build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)

function(demitasse_flags target)
  # No contraction: a multiplication and an addition are fused where a kernel says so, and only there, so that results
  # do not depend on the compiler.
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Werror
    -ffp-contract=off
    -fno-math-errno)
  set_target_properties(${target} PROPERTIES CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF
    CXX_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
  if(DEMITASSE_SANITIZE)
    # -O1: in less than half the time of -O2.
    target_compile_options(${target} PUBLIC -O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all
      -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=address,undefined)
  endif()
endfunction()
