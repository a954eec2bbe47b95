package dev.demitasse.opencl;

import dev.demitasse.exception.DeviceFailedException;
import org.lwjgl.opencl.CL10;
import org.lwjgl.opencl.CL11;
import org.lwjgl.opencl.CL12;

/** What OpenCL's functions return. */
final class Results {
    private Results() {}

    /** @throws DeviceFailedException where it is an error */
    static void check(int result, String doing) {
        if (result != CL10.CL_SUCCESS) {
            throw new DeviceFailedException("opencl: " + name(result) + " while " + doing
                    + ". The device cannot be used any more; close it, and open it again.");
        }
    }

    /** Whether memory is what was missing. */
    static boolean isOutOfMemory(int result) {
        return result == CL10.CL_MEM_OBJECT_ALLOCATION_FAILURE
                || result == CL10.CL_OUT_OF_RESOURCES
                || result == CL10.CL_OUT_OF_HOST_MEMORY
                || result == CL10.CL_INVALID_BUFFER_SIZE;
    }

    /** The specification's name of a result. */
    static String name(int result) {
        return switch (result) {
            case CL10.CL_DEVICE_NOT_FOUND -> "CL_DEVICE_NOT_FOUND";
            case CL10.CL_DEVICE_NOT_AVAILABLE -> "CL_DEVICE_NOT_AVAILABLE";
            case CL10.CL_COMPILER_NOT_AVAILABLE -> "CL_COMPILER_NOT_AVAILABLE";
            case CL10.CL_MEM_OBJECT_ALLOCATION_FAILURE -> "CL_MEM_OBJECT_ALLOCATION_FAILURE";
            case CL10.CL_OUT_OF_RESOURCES -> "CL_OUT_OF_RESOURCES";
            case CL10.CL_OUT_OF_HOST_MEMORY -> "CL_OUT_OF_HOST_MEMORY";
            case CL10.CL_BUILD_PROGRAM_FAILURE -> "CL_BUILD_PROGRAM_FAILURE";
            case CL11.CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST -> "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST";
            case CL12.CL_COMPILE_PROGRAM_FAILURE -> "CL_COMPILE_PROGRAM_FAILURE";
            case CL10.CL_INVALID_VALUE -> "CL_INVALID_VALUE";
            case CL10.CL_INVALID_DEVICE -> "CL_INVALID_DEVICE";
            case CL10.CL_INVALID_CONTEXT -> "CL_INVALID_CONTEXT";
            case CL10.CL_INVALID_COMMAND_QUEUE -> "CL_INVALID_COMMAND_QUEUE";
            case CL10.CL_INVALID_MEM_OBJECT -> "CL_INVALID_MEM_OBJECT";
            case CL10.CL_INVALID_BINARY -> "CL_INVALID_BINARY";
            case CL10.CL_INVALID_BUILD_OPTIONS -> "CL_INVALID_BUILD_OPTIONS";
            case CL10.CL_INVALID_KERNEL_NAME -> "CL_INVALID_KERNEL_NAME";
            case CL10.CL_INVALID_KERNEL_ARGS -> "CL_INVALID_KERNEL_ARGS";
            case CL10.CL_INVALID_WORK_GROUP_SIZE -> "CL_INVALID_WORK_GROUP_SIZE";
            case CL10.CL_INVALID_BUFFER_SIZE -> "CL_INVALID_BUFFER_SIZE";
            default -> "error " + result;
        };
    }
}
