package dev.demitasse.opencl;

import java.lang.foreign.Arena;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import org.lwjgl.system.JNI;

/**
 * Gives the JVM its signal handlers back after a driver's call took them. A driver that compiles with LLVM in this
 * process (PoCL) installs LLVM's handlers, which last for one signal ({@code SA_RESETHAND}). But a JVM makes null
 * pointer exceptions, safepoints and divisions by zero of signals: two threads of it with one at the same time end the
 * process. LLVM installs them once, and again only after one of them ran: those given back stay.
 *
 * <p>PoCL's own handler goes with them, which skips integer divisions by zero of kernels: none of ours makes any. What
 * other threads set meanwhile is undone, too. On Linux alone; elsewhere drivers compile in another process or without
 * signals.
 */
final class JvmSignals implements AutoCloseable {
    /** HotSpot's, by Linux' numbers: HUP, INT, QUIT, ILL, TRAP, BUS, FPE, SEGV, USR2, PIPE, TERM, XFSZ. */
    private static final List<Integer> SIGNALS = List.of(1, 2, 3, 4, 5, 7, 8, 11, 12, 13, 15, 25);

    /** More than {@code struct sigaction} has anywhere; glibc's has 152. */
    private static final long ACTION_BYTES = 256;

    /** One at a time: who saved what another thread's driver had just installed would keep that. */
    private static final ReentrantLock LOCK = new ReentrantLock();

    /** The C library's function; 0 where there is nothing to keep. */
    private static final long SIGACTION = System.getProperty("os.name", "").startsWith("Linux")
            ? Linker.nativeLinker()
                    .defaultLookup()
                    .find("sigaction")
                    .map(MemorySegment::address)
                    .orElse(0L)
            : 0L;

    private final Arena arena = Arena.ofConfined();
    private final MemorySegment saved;

    private JvmSignals() {
        saved = actions(arena);
    }

    /** Saves the actions; what has changed until {@link #close} is undone there, by the same thread. */
    static JvmSignals keep() {
        if (SIGACTION == 0) {
            return new JvmSignals();
        }
        LOCK.lock();
        try {
            return new JvmSignals();
        } catch (Throwable t) {
            LOCK.unlock();
            throw t;
        }
    }

    /** The actions of all {@link #SIGNALS}, one after the other, as the C library has them. */
    private static MemorySegment actions(Arena arena) {
        MemorySegment actions = arena.allocate(ACTION_BYTES * SIGNALS.size());
        for (int i = 0; i < SIGNALS.size() && SIGACTION != 0; i++) {
            sigaction(SIGNALS.get(i), 0, actions.address() + i * ACTION_BYTES);
        }
        return actions;
    }

    /** Sets an action where there is a new one, and reads the old one where there is room for it. */
    static void sigaction(int signal, long action, long old) {
        if (JNI.invokePPI(signal, action, old, SIGACTION) != 0) {
            throw new IllegalStateException("sigaction of signal " + signal + " failed");
        }
    }

    @Override
    public void close() {
        try (arena) {
            MemorySegment now = actions(arena);
            for (int i = 0; i < SIGNALS.size(); i++) {
                long at = i * ACTION_BYTES;
                if (now.asSlice(at, ACTION_BYTES).mismatch(saved.asSlice(at, ACTION_BYTES)) >= 0) {
                    sigaction(SIGNALS.get(i), saved.address() + at, 0);
                }
            }
        } finally {
            if (SIGACTION != 0) {
                LOCK.unlock();
            }
        }
    }
}
