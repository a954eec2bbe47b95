/** The device of C++ SIMD kernels. */
@NullMarked
package dev.demitasse.nativecpu;

import org.jspecify.annotations.NullMarked;
