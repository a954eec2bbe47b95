/** The device of GPUs, and of processors, that have an OpenCL driver. */
@NullMarked
package dev.demitasse.opencl;

import org.jspecify.annotations.NullMarked;
