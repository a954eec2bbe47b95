package dev.demitasse.memory;

import dev.demitasse.exception.OutOfDeviceMemoryException;
import dev.demitasse.exception.UsageException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;

/**
 * A block of zeroed memory outside the heap, aligned to 64 bytes. All but small blocks are asked to lie on huge pages,
 * where the operating system has them: reading weights is bound by memory, and 4 KiB pages cost a tenth of it and more.
 */
public final class HostMemory implements AutoCloseable {
    /** The alignment of every block in bytes: a cache line, and the widest vector register. */
    public static final int ALIGNMENT = 64;

    private static final long HUGE_PAGE_BYTES = 2L << 20;
    /** Smaller blocks are left to the C library. */
    private static final long SLAB_BYTES = 64L << 10;

    private static final AtomicLong ALLOCATED = new AtomicLong();

    private final MemorySegment segment;
    private final Runnable free;
    private volatile boolean closed;

    private HostMemory(MemorySegment segment, Runnable free) {
        this.segment = segment;
        this.free = free;
    }

    /**
     * Allocates {@code bytes} of zeroed memory.
     *
     * @throws OutOfDeviceMemoryException where the machine has not so much
     */
    public static HostMemory allocate(long bytes) {
        if (bytes < 0) {
            throw new UsageException("Cannot allocate " + bytes + " bytes.");
        }
        try {
            HostMemory memory = place(bytes);
            ALLOCATED.addAndGet(bytes);
            return memory;
        } catch (OutOfMemoryError e) {
            throw new OutOfDeviceMemoryException(
                    "The machine has no " + (bytes >> 20) + " MiB of memory left outside the Java heap.", e);
        }
    }

    /**
     * A block of each length.
     *
     * @throws OutOfDeviceMemoryException where the machine has not so much; none is left allocated then
     */
    public static HostMemory[] allocateAll(long... bytes) {
        HostMemory[] blocks = new HostMemory[bytes.length];
        int done = 0;
        try {
            for (; done < bytes.length; done++) {
                blocks[done] = allocate(bytes[done]);
            }
            return blocks;
        } catch (RuntimeException | Error e) {
            for (int i = 0; i < done; i++) {
                blocks[i].close();
            }
            throw e;
        }
    }

    /**
     * {@code memory} where it has at least {@code bytes}, else a block that has half as much again, for which {@code
     * memory} is closed. What it held is not copied. Where there is no memory left, {@code memory} is as it was.
     */
    public static HostMemory grown(HostMemory memory, long bytes) {
        if (memory.bytes() >= bytes) {
            return memory;
        }
        HostMemory larger = allocate(bytes + bytes / 2);
        memory.close();
        return larger;
    }

    private static HostMemory place(long bytes) {
        if (bytes >= SLAB_BYTES && bytes < HUGE_PAGE_BYTES && HugePages.available()) {
            Slab.Block block = Slab.allocate(bytes);
            return new HostMemory(block.segment(), block::free);
        }
        Arena arena = Arena.ofShared();
        try {
            MemorySegment segment = bytes >= HUGE_PAGE_BYTES && HugePages.available()
                    ? HugePages.map(bytes, arena)
                    : arena.allocate(Math.max(bytes, 1), ALIGNMENT).asSlice(0, bytes);
            return new HostMemory(segment, arena::close);
        } catch (OutOfMemoryError e) {
            arena.close();
            throw e;
        }
    }

    /** Bytes in blocks that are not closed, of this process. */
    public static long allocatedBytes() {
        return ALLOCATED.get();
    }

    /**
     * Bytes of the machine's memory that programs can still have, page cache included, as Linux estimates them, and no
     * more than the memory that a container may have; elsewhere what is free of the machine's memory.
     */
    public static long availableBytes() {
        if (!(ManagementFactory.getOperatingSystemMXBean()
                instanceof com.sun.management.OperatingSystemMXBean system)) {
            return Runtime.getRuntime().maxMemory();
        }
        Path path = Path.of("/proc/meminfo");
        if (Files.isReadable(path)) {
            try (Stream<String> lines = Files.lines(path)) {
                return lines.filter(line -> line.startsWith("MemAvailable:"))
                        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) << 10)
                        .map(available -> Math.min(available, system.getTotalMemorySize()))
                        .findFirst()
                        .orElseGet(system::getFreeMemorySize); // old kernels do not estimate it
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
        return system.getFreeMemorySize();
    }

    /** The memory. */
    public MemorySegment segment() {
        return segment;
    }

    /** The address of the first byte. */
    public long address() {
        return segment.address();
    }

    /** Its length. */
    public long bytes() {
        return segment.byteSize();
    }

    /** Gives the memory back. Closing twice does nothing. */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            ALLOCATED.addAndGet(-segment.byteSize());
            free.run();
        }
    }
}
