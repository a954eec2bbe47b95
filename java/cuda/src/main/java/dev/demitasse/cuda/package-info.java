/** The backend {@code cuda}: kernels for NVIDIA GPUs (see {@code cuda/}), driven by JCuda. */
@NullMarked
package dev.demitasse.cuda;

import org.jspecify.annotations.NullMarked;
