package dev.demitasse.memory;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Anonymous mappings with {@code MADV_HUGEPAGE}, on Linux only. */
final class HugePages {
    private static final Logger LOG = System.getLogger(HugePages.class.getName());
    private static final int PROT_READ_WRITE = 3;
    private static final int MAP_PRIVATE_ANONYMOUS = 0x22;
    private static final int MADV_HUGEPAGE = 14;
    private static final long HUGE_PAGE_BYTES = 2L << 20;

    private static final @Nullable Calls CALLS = link();

    private record Calls(MethodHandle mmap, MethodHandle munmap, MethodHandle madvise) {}

    private HugePages() {}

    static boolean available() {
        return CALLS != null;
    }

    /** Maps {@code bytes}, aligned to a huge page; unmapped when {@code arena} is closed. */
    static MemorySegment map(long bytes, Arena arena) {
        Calls calls = CALLS;
        if (calls == null) {
            throw new IllegalStateException("huge pages are not available");
        }
        long mapped = Math.addExact(bytes, HUGE_PAGE_BYTES);
        try {
            MemorySegment base = (MemorySegment)
                    calls.mmap.invokeExact(MemorySegment.NULL, mapped, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0L);
            if (base.address() == -1L) {
                throw new OutOfMemoryError("mmap of " + mapped + " bytes");
            }
            long address = (base.address() + HUGE_PAGE_BYTES - 1) & -HUGE_PAGE_BYTES;
            MemorySegment aligned = MemorySegment.ofAddress(address);
            int advised = (int) calls.madvise.invokeExact(aligned, bytes, MADV_HUGEPAGE);
            if (advised != 0) {
                LOG.log(Level.DEBUG, "The kernel gives no huge pages; weights lie on small ones.");
            }
            return aligned.reinterpret(bytes, arena, ignored -> unmap(calls, base, mapped));
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    private static void unmap(Calls calls, MemorySegment base, long bytes) {
        try {
            int failed = (int) calls.munmap.invokeExact(base, bytes);
            if (failed != 0) {
                LOG.log(Level.WARNING, "munmap failed; {0} bytes stay mapped", bytes);
            }
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    private static @Nullable Calls link() {
        if (!System.getProperty("os.name", "").toLowerCase(Locale.ROOT).contains("linux")) {
            return null;
        }
        Linker linker = Linker.nativeLinker();
        try {
            return new Calls(
                    linker.downcallHandle(
                            linker.defaultLookup().findOrThrow("mmap"),
                            FunctionDescriptor.of(
                                    ADDRESS, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG)),
                    linker.downcallHandle(
                            linker.defaultLookup().findOrThrow("munmap"),
                            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG)),
                    linker.downcallHandle(
                            linker.defaultLookup().findOrThrow("madvise"),
                            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT)));
        } catch (IllegalCallerException | java.util.NoSuchElementException | UnsupportedOperationException e) {
            LOG.log(Level.INFO, "No huge pages, since native calls are not allowed: {0}", e.getMessage());
            return null;
        }
    }
}
