// A stand-in for libcuda.so.1: the part of the CUDA driver API that Demitasse uses, over the emulator, so that the Java
// device runs unchanged, graphs included, on a machine without a GPU. Test equipment: nothing here is quick.
//
// settings.h says what the environment sets.
//
// As on a real device a fault in a kernel is sticky: every later call of the context fails. What is put on a stream
// runs when somebody waits for it, as late as it can: memory that the host writes meanwhile is found out, and
// what is given back, where copies still use it.
#include <cstdlib>
#include <ctime>
#include <deque>
#include <memory>
#include <mutex>

#include "emulator.h"
#include "guard.h"
#include "settings.h"

namespace {

using namespace emulator::environment;

using Address = unsigned long long;
using Word = std::vector<unsigned char>;

enum Result {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    NOT_FOUND = 500,
    NOT_READY = 600,
    LAUNCH_FAILED = 719,
    NOT_SUPPORTED = 801,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
};

using Operation = std::function<int()>;

struct Graph {
    std::vector<Operation> operations;
};

struct Stream {
    Graph* captured = nullptr;
    std::deque<Operation> waiting;
};

struct Event {
    Stream* stream = nullptr;
    uint64_t recorded = 0;  // how often
    uint64_t reached = 0;
    double milliseconds = 0;
};

struct Function {
    std::string name;
    const emulator::ExportedKernel* kernel;
    int dynamic_shared_limit = 48 << 10;
};

Stream default_stream;
std::map<Address, size_t> allocations;
std::map<std::string, Function> functions;
size_t allocated = 0;
int sticky = SUCCESS;
int context;
thread_local void* current = nullptr;  // context
std::mutex mutex;

Stream* stream_of(void* handle) {
    return reinterpret_cast<uintptr_t>(handle) > 2 ? static_cast<Stream*>(handle) : &default_stream;
}

// Puts an operation on a stream, or records it where that is captured. On the default stream it runs at once.
int run(void* stream, Operation operation) {
    if (sticky != SUCCESS) {
        return sticky;
    }
    Stream* s = stream_of(stream);
    if (s->captured != nullptr) {
        s->captured->operations.push_back(std::move(operation));
        return SUCCESS;
    }
    if (s == &default_stream) {
        return operation();
    }
    s->waiting.push_back(std::move(operation));
    return SUCCESS;
}

// Runs what waits on a stream, as long as `wanted()`.
template <class Wanted>
int settle(Stream* stream, Wanted wanted) {
    while (!stream->waiting.empty() && wanted()) {
        const Operation next = std::move(stream->waiting.front());
        stream->waiting.pop_front();
        if (sticky == SUCCESS) {
            next();
        }
    }
    return sticky;
}

bool allocated_range(Address address, size_t bytes) {
    auto next = allocations.upper_bound(address);
    if (next == allocations.begin()) {
        return false;
    }
    --next;
    return address + bytes <= next->first + next->second;
}

// Puts an operation on memory of the device on a stream; the memory must be there when it is put, and when it runs.
template <class Move>
int transfer(void* stream, Address address, size_t bytes, Move move) {
    if (!allocated_range(address, bytes)) {
        return INVALID_VALUE;
    }
    return run(stream, [=] {
        if (!allocated_range(address, bytes)) {
            std::fprintf(stderr, "emulator: memory that a stream still uses was given back\n");
            return sticky = LAUNCH_FAILED;
        }
        move();
        return sticky;
    });
}

// The guard, or null where it was not asked for.
emulator::Guard* guard() {
    static const std::unique_ptr<emulator::Guard> made(
        setting("EMULATOR_DEPENDENT", 0) == 0 ? nullptr : new emulator::Guard(size_t{1} << 30));
    return made.get();
}

int launch(const Function& function, emulator::Index3 grid, emulator::Index3 threads, unsigned shared_bytes,
           const void* argument, bool overlaps) {
    emulator::settings.seed = static_cast<unsigned>(setting("EMULATOR_SEED", 0));
    emulator::settings.copies_early = setting("EMULATOR_EARLY", 0) != 0;
    if (setting("EMULATOR_KERNELS", 1) == 0) {
        return sticky;
    }
    if (guard() != nullptr) {
        guard()->kernel_begins(overlaps);
    }
    const char* faulty = std::getenv("EMULATOR_FAULT");
    std::string fault = faulty != nullptr && function.name == faulty
                            ? "EMULATOR_FAULT"
                            : function.kernel->run(grid, threads, shared_bytes, argument);
    if (guard() != nullptr) {
        const std::string violation = guard()->kernel_ends();
        fault = fault.empty() ? violation : fault;
    }
    if (!fault.empty()) {
        std::fprintf(stderr, "emulator: %s: %s\n", function.name.c_str(), fault.c_str());
        sticky = LAUNCH_FAILED;
    }
    return sticky;
}

}  // namespace

#define API extern "C" __attribute__((visibility("default"))) int

API cuInit(unsigned) { return static_cast<int>(setting("EMULATOR_INIT", 0)); }
API cuDriverGetVersion(int* version) {
    *version = static_cast<int>(setting("EMULATOR_DRIVER", 13000));
    return SUCCESS;
}
API cuDeviceGetCount(int* count) {
    *count = static_cast<int>(setting("EMULATOR_DEVICES", 1));
    return SUCCESS;
}
API cuDeviceGet(int* device, int ordinal) {
    *device = ordinal;
    return ordinal >= 0 && ordinal < setting("EMULATOR_DEVICES", 1) ? SUCCESS : INVALID_DEVICE;
}
API cuDeviceGetName(char* name, int bytes, int) {
    std::snprintf(name, static_cast<size_t>(bytes), "Demitasse emulator");
    return SUCCESS;
}
API cuDeviceTotalMem_v2(size_t* bytes, int) {
    *bytes = memory_bytes();
    return SUCCESS;
}
API cuDeviceGetAttribute(int* value, int number, int) {
    *value = attribute(number);
    return SUCCESS;
}

API cuDevicePrimaryCtxRetain(void** result, int) {
    *result = &context;
    return SUCCESS;
}
API cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
API cuDevicePrimaryCtxReset_v2(int) { return SUCCESS; }
API cuCtxCreate_v2(void** result, unsigned, int) {
    *result = current = &context;
    sticky = SUCCESS;
    return SUCCESS;
}
API cuCtxDestroy_v2(void*) { return SUCCESS; }
API cuCtxSetCurrent(void* wanted) {
    current = wanted;
    return SUCCESS;
}
API cuCtxGetCurrent(void** result) {
    *result = current;
    return SUCCESS;
}
API cuCtxSynchronize() { return sticky; }

API cuMemAlloc_v2(Address* address, size_t bytes) {
    std::lock_guard lock(mutex);
    if (sticky != SUCCESS) {
        return sticky;
    }
    if (bytes == 0) {
        return INVALID_VALUE;
    }
    if (allocated + bytes > memory_bytes()) {
        return OUT_OF_MEMORY;
    }
    void* memory = guard() != nullptr ? guard()->allocate(bytes) : std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (memory == nullptr) {
        return OUT_OF_MEMORY;
    }
    std::memset(memory, 0xCD, bytes);
    *address = reinterpret_cast<Address>(memory);
    allocations[*address] = bytes;
    allocated += bytes;
    return SUCCESS;
}
API cuMemFree_v2(Address address) {
    std::lock_guard lock(mutex);
    auto found = allocations.find(address);
    if (found == allocations.end()) {
        return INVALID_VALUE;
    }
    allocated -= found->second;
    allocations.erase(found);
    if (guard() != nullptr) {
        guard()->release(reinterpret_cast<void*>(address));
    } else {
        std::free(reinterpret_cast<void*>(address));
    }
    return sticky;
}
API cuMemGetInfo_v2(size_t* free_bytes, size_t* total) {
    *total = memory_bytes();
    *free_bytes = *total - allocated;
    return sticky;
}
API cuMemHostAlloc(void** memory, size_t bytes, unsigned) {
    *memory = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    return sticky;
}
API cuMemFreeHost(void* memory) {
    std::free(memory);
    return sticky;
}

API cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, void* stream) {
    return transfer(stream, to, bytes, [=] { std::memmove(reinterpret_cast<void*>(to), from, bytes); });
}
API cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, void* stream) {
    return transfer(stream, from, bytes, [=] { std::memmove(to, reinterpret_cast<void*>(from), bytes); });
}
API cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, void* stream) {
    return allocated_range(from, bytes)
               ? transfer(stream, to, bytes,
                          [=] { std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes); })
               : INVALID_VALUE;
}
API cuMemcpyHtoD_v2(Address to, const void* from, size_t bytes) {
    return cuMemcpyHtoDAsync_v2(to, from, bytes, nullptr);
}
API cuMemcpyDtoH_v2(void* to, Address from, size_t bytes) { return cuMemcpyDtoHAsync_v2(to, from, bytes, nullptr); }
API cuMemsetD8Async(Address to, unsigned char value, size_t bytes, void* stream) {
    return transfer(stream, to, bytes, [=] { std::memset(reinterpret_cast<void*>(to), value, bytes); });
}
API cuMemsetD8_v2(Address to, unsigned char value, size_t bytes) { return cuMemsetD8Async(to, value, bytes, nullptr); }

// A fatbin, a cubin or PTX; the kernels themselves are built in.
API cuModuleLoadData(void** module, const void* image) {
    uint32_t magic;
    std::memcpy(&magic, image, 4);
    if (magic != 0xBA55ED50u && magic != 0x464C457Fu && std::memcmp(image, "//", 2) != 0) {
        return INVALID_IMAGE;
    }
    *module = &context;
    return SUCCESS;
}
API cuModuleLoadDataEx(void** module, const void* image, unsigned, int*, void**) {
    return cuModuleLoadData(module, image);
}
API cuModuleUnload(void*) { return SUCCESS; }
API cuModuleGetFunction(void** function, void*, const char* name) {
    auto found = emulator::exported_kernels().find(name);
    if (found == emulator::exported_kernels().end()) {
        return NOT_FOUND;
    }
    *function = &functions.try_emplace(name, Function{name, &found->second}).first->second;
    return SUCCESS;
}
API cuFuncSetAttribute(void* function, int number, int value) {
    if (number == 8) {
        if (value > shared_limit()) {
            return INVALID_VALUE;
        }
        static_cast<Function*>(function)->dynamic_shared_limit = value;
    }
    return SUCCESS;
}
API cuFuncGetAttribute(int* value, int, void*) {
    *value = 0;
    return SUCCESS;
}
API cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void*, int, size_t) {
    *blocks = 2;
    return SUCCESS;
}

// CUlaunchConfig and CUlaunchAttribute. A launch waits for the one before it, whatever its attributes say.
struct LaunchAttribute {
    static constexpr int PROGRAMMATIC_STREAM_SERIALIZATION = 6;
    int id;
    alignas(8) int value[16];
};

struct LaunchConfig {
    unsigned grid[3], block[3];
    unsigned shared_bytes;
    void* stream;
    const LaunchAttribute* attributes;
    unsigned attribute_count;

    bool overlaps() const {
        return attribute_count > 0 && attributes[0].id == LaunchAttribute::PROGRAMMATIC_STREAM_SERIALIZATION &&
               attributes[0].value[0] != 0;
    }
};

API cuLaunchKernelEx(const LaunchConfig* config, void* handle, void** arguments, void**) {
    auto* function = static_cast<Function*>(handle);
    const emulator::Index3 grid{config->grid[0], config->grid[1], config->grid[2]};
    const emulator::Index3 threads{config->block[0], config->block[1], config->block[2]};
    const unsigned shared_bytes = config->shared_bytes;
    const unsigned count = threads.x * threads.y * threads.z;
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || count == 0 || count > 1024 || grid.y > 65535 || grid.z > 65535 ||
        static_cast<int>(shared_bytes) > function->dynamic_shared_limit) {
        return INVALID_VALUE;
    }
    const auto* bytes = static_cast<const unsigned char*>(arguments[0]);
    Word argument(bytes, bytes + function->kernel->argument_bytes);  // a graph keeps the values
    return run(config->stream, [=, overlaps = config->overlaps(), argument = std::move(argument)] {
        return launch(*function, grid, threads, shared_bytes, argument.data(), overlaps);
    });
}

API cuStreamCreate(void** stream, unsigned) {
    *stream = new Stream;
    return sticky;
}
API cuStreamSynchronize(void* stream) {
    Stream* s = stream_of(stream);
    return s->captured != nullptr ? CAPTURE_UNSUPPORTED : settle(s, [] { return true; });
}
API cuStreamDestroy_v2(void* stream) {
    cuStreamSynchronize(stream);
    delete static_cast<Stream*>(stream);
    return SUCCESS;
}
API cuStreamQuery(void* stream) { return stream_of(stream)->waiting.empty() ? sticky : static_cast<int>(NOT_READY); }
API cuStreamBeginCapture_v2(void* stream, int) {
    stream_of(stream)->captured = new Graph;
    return sticky;
}
API cuStreamEndCapture(void* stream, void** graph) {
    *graph = stream_of(stream)->captured;
    stream_of(stream)->captured = nullptr;
    return *graph != nullptr ? SUCCESS : CAPTURE_INVALIDATED;
}
API cuGraphInstantiateWithFlags(void** executable, void* graph, unsigned long long) {
    static bool first = true;
    const auto graphs = setting("EMULATOR_GRAPHS", 1);
    const bool fails = graphs == 0 || (graphs < 0 && first);
    first = false;
    if (fails) {
        return NOT_SUPPORTED;
    }
    *executable = new std::shared_ptr<Graph>(new Graph(*static_cast<Graph*>(graph)));
    return SUCCESS;
}
API cuGraphInstantiate(void** executable, void* graph, void*, char*, size_t) {
    return cuGraphInstantiateWithFlags(executable, graph, 0);
}
API cuGraphInstantiate_v2(void** executable, void* graph, void*, char*, size_t) {
    return cuGraphInstantiateWithFlags(executable, graph, 0);
}
API cuGraphLaunch(void* executable, void* stream) {
    return run(stream, [graph = *static_cast<std::shared_ptr<Graph>*>(executable)] {
        for (const auto& operation : graph->operations) {
            if (sticky != SUCCESS || operation() != SUCCESS) {
                break;
            }
        }
        return sticky;
    });
}
API cuGraphExecDestroy(void* executable) {
    delete static_cast<std::shared_ptr<Graph>*>(executable);
    return SUCCESS;
}
API cuGraphDestroy(void* graph) {
    delete static_cast<Graph*>(graph);
    return SUCCESS;
}

API cuEventCreate(void** event, unsigned) {
    *event = new std::shared_ptr<Event>(new Event);
    return SUCCESS;
}
API cuEventRecord(void* handle, void* stream) {
    auto event = *static_cast<std::shared_ptr<Event>*>(handle);
    event->stream = stream_of(stream);
    event->recorded++;
    return run(stream, [event, number = event->recorded] {
        timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        event->milliseconds = static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
        event->reached = number;
        return sticky;
    });
}
API cuEventSynchronize(void* handle) {
    auto event = *static_cast<std::shared_ptr<Event>*>(handle);
    return event->stream == nullptr ? sticky : settle(event->stream, [&] { return event->reached < event->recorded; });
}
API cuStreamWaitEvent(void* stream, void* handle, unsigned) {
    auto event = *static_cast<std::shared_ptr<Event>*>(handle);
    return run(stream, [event, number = event->recorded] {
        return event->stream == nullptr ? sticky : settle(event->stream, [&] { return event->reached < number; });
    });
}
API cuEventElapsedTime(float* milliseconds, void* from, void* to) {
    const Event& first = **static_cast<std::shared_ptr<Event>*>(from);
    const Event& last = **static_cast<std::shared_ptr<Event>*>(to);
    if (sticky == SUCCESS && (first.reached < first.recorded || last.reached < last.recorded)) {
        return NOT_READY;
    }
    *milliseconds = static_cast<float>(last.milliseconds - first.milliseconds);
    return SUCCESS;
}
API cuEventDestroy_v2(void* event) {
    delete static_cast<std::shared_ptr<Event>*>(event);
    return SUCCESS;
}

API cuGetErrorName(int error, const char** name) {
    *name = error == LAUNCH_FAILED   ? "CUDA_ERROR_LAUNCH_FAILED"
            : error == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY"
                                     : "CUDA_ERROR";
    return SUCCESS;
}
API cuGetErrorString(int, const char** text) {
    *text = "the emulator says so";
    return SUCCESS;
}

// A call of these is an error. What CUDA 12.0 has not is left out: a call of it ends the process, as with that driver.
#define UNSUPPORTED(name) \
    API name() { return NOT_SUPPORTED; }
#include "unsupported.inc"
