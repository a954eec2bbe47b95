// A stand-in for libcublas.so.12: the four functions that Demitasse calls, on the host, so that its use of JCublas runs
// without a GPU. It waits for what its stream has to do, and then runs at once.
#include <dlfcn.h>

#include "instructions.h"

namespace {

enum Status { SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };
enum DataType { FP32 = 0, FP16 = 2 };  // cudaDataType
enum Operation { PLAIN = 0, TRANSPOSED = 1 };
constexpr int COMPUTE_FP32 = 68;

float element(const void* from, int type, int64_t at) {
    return type == FP16 ? demitasse::fp16_to_float(static_cast<const uint16_t*>(from)[at])
                        : static_cast<const float*>(from)[at];
}

struct Handle {
    void* stream = nullptr;
};

// A function of the driver; null where there is none.
template <class Call>
Call driver_call(const char* name) {
    void* driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
    return reinterpret_cast<Call>(driver == nullptr ? nullptr : dlsym(driver, name));
}

// Whether the thread has a context, without which the real cuBLAS would make one of its own.
bool has_context() {
    void* context = nullptr;
    const auto get = driver_call<int (*)(void**)>("cuCtxGetCurrent");
    return get != nullptr && get(&context) == 0 && context != nullptr;
}

}  // namespace

extern "C" {

int cublasCreate_v2(void** handle) {
    if (!has_context()) {
        return NOT_INITIALIZED;
    }
    *handle = new Handle;
    return SUCCESS;
}

int cublasDestroy_v2(void* handle) {
    delete static_cast<Handle*>(handle);
    return SUCCESS;
}

int cublasSetStream_v2(void* handle, void* stream) {
    static_cast<Handle*>(handle)->stream = stream;
    return SUCCESS;
}

// JCublas asks where scalars are, and for which mathematics: on the host, and the default.
int cublasGetPointerMode_v2(void*, int* mode) {
    *mode = 0;
    return SUCCESS;
}

int cublasGetMathMode(void*, int* mode) {
    *mode = 0;
    return SUCCESS;
}

// c (m x n, columns in order) = alpha aT b + beta c, sums in FP32; the forms that Demitasse asks for, and no others.
int cublasGemmEx(void* handle, int operation_a, int operation_b, int m, int n, int k, const void* alpha, const void* a,
                 int type_a, int stride_a, const void* b, int type_b, int stride_b, const void* beta, void* c,
                 int type_c, int stride_c, int compute, int) {
    if (operation_a != TRANSPOSED || operation_b != PLAIN || type_a != type_b || (type_a != FP32 && type_a != FP16) ||
        type_c != FP32 || compute != COMPUTE_FP32 || *static_cast<const float*>(beta) != 0) {
        return NOT_SUPPORTED;
    }
    if (m < 0 || n < 0 || k < 0 || stride_a < k || stride_b < k || stride_c < m) {
        return INVALID_VALUE;
    }
    if (driver_call<int (*)(void*)>("cuStreamSynchronize")(static_cast<Handle*>(handle)->stream) != 0) {
        return INVALID_VALUE;
    }
    for (int64_t column = 0; column < n; column++) {
        for (int64_t row = 0; row < m; row++) {
            float sum = 0;
            for (int i = 0; i < k; i++) {
                sum += element(a, type_a, row * stride_a + i) * element(b, type_b, column * stride_b + i);
            }
            static_cast<float*>(c)[column * stride_c + row] = *static_cast<const float*>(alpha) * sum;
        }
    }
    return SUCCESS;
}

}  // extern "C"

// JCublas's library asks for every function of the API when it is loaded.
#define UNSUPPORTED(name)                                               \
    extern "C" int name() {                                             \
        std::fprintf(stderr, "emulator: there is no %s here\n", #name); \
        return NOT_SUPPORTED;                                           \
    }
#include "unsupported_cublas.inc"
