package dev.demitasse;

import dev.demitasse.device.Backend;
import dev.demitasse.device.CheckedDevice;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.Support;
import dev.demitasse.exception.BackendUnavailableException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.function.Consumer;

/** Finds and opens devices. */
public final class Devices {
    /** The name that stands for the first backend that works. */
    public static final String AUTO = "auto";

    private static final Logger LOG = System.getLogger(Devices.class.getName());

    /** The order in which {@code auto} asks. */
    private static final List<String> ORDER = List.of("cuda", "opencl", "native", "vector", "reference");

    private Devices() {}

    /** {@return every backend on the class or module path, in the order in which {@code auto} asks them} */
    public static List<Backend> backends() {
        List<Backend> backends = new ArrayList<>();
        ServiceLoader.load(Backend.class, Devices.class.getClassLoader()).forEach(backends::add);
        backends.sort(Comparator.comparingInt(Devices::rank));
        return backends;
    }

    private static int rank(Backend backend) {
        int rank = ORDER.indexOf(backend.name());
        return rank < 0 ? ORDER.size() : rank;
    }

    /** {@return whether each backend can be used here, by name} */
    public static Map<String, Support> probe() {
        Map<String, Support> found = new LinkedHashMap<>();
        backends().forEach(backend -> found.put(backend.name(), backend.probe()));
        return found;
    }

    /**
     * Opens a device, whose arguments are checked and whose operations of several threads run one after another
     * ({@link CheckedDevice}).
     *
     * @param name a backend's name, which works or fails; or {@link #AUTO}, the first that works, every refusal logged
     * @param options which device of the backend, and how to open it
     * @return the device, which the caller closes
     * @throws BackendUnavailableException where none can be opened, with every reason
     */
    public static Device open(String name, DeviceOptions options) {
        List<String> refusals = new ArrayList<>();
        for (Backend backend : backends()) {
            boolean automatic = name.equals(AUTO);
            if (!automatic && !name.equals(backend.name())) {
                continue;
            }
            Support support = backend.probe();
            if (support.ok() && (backend.automatic() || !automatic)) {
                if (automatic && backend.name().equals("reference")) {
                    LOG.log(
                            Level.WARNING,
                            "No fast backend: {0}. Falling back to \"reference\", which is slow.",
                            refusals);
                }
                try {
                    return CheckedDevice.of(backend.open(options));
                } catch (BackendUnavailableException e) {
                    if (!automatic) {
                        throw e;
                    }
                    support = Support.no(String.valueOf(e.getMessage()), "use another backend");
                }
            }
            refusals.add(backend.name() + ": " + support);
            LOG.log(
                    support.absent() || support.ok() ? Level.DEBUG : Level.INFO, // ok: only for those who ask
                    "Backend {0} is not used: {1}",
                    backend.name(),
                    support);
        }
        if (refusals.isEmpty()) {
            throw unknown(name);
        }
        throw new BackendUnavailableException(String.join("; ", refusals) + ".");
    }

    /**
     * Measures a device ({@link Backend#tune}).
     *
     * @param name a backend's name
     * @param options which device of the backend, and how to open it
     * @param report receives lines for people: what was measured, and where it is kept
     * @throws BackendUnavailableException where there is none of that name, or it has no device
     */
    public static void tune(String name, DeviceOptions options, Consumer<String> report) {
        Backend backend = backends().stream()
                .filter(each -> each.name().equals(name))
                .findFirst()
                .orElseThrow(() -> unknown(name));
        backend.tune(options, report);
    }

    private static BackendUnavailableException unknown(String name) {
        return new BackendUnavailableException("There is no backend \"" + name + "\"; these are on the class path: "
                + backends().stream().map(Backend::name).toList() + ".");
    }
}
