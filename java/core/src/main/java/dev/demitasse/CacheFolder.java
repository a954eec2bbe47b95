package dev.demitasse;

import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;

/** The folder of everything that can be had again: pulled models, unpacked libraries, what was measured of a device. */
public final class CacheFolder {
    private CacheFolder() {}

    /** {@return {@code $DEMITASSE_CACHE}, else the platform's folder for such things; it may not exist} */
    public static Path path() {
        return path(System.getenv());
    }

    /**
     * {@return the same in an environment}
     *
     * @param environment variables by name, as {@link System#getenv()} gives them
     */
    public static Path path(Map<String, String> environment) {
        return path(environment, System.getProperty("os.name", "").toLowerCase(Locale.ROOT));
    }

    static Path path(Map<String, String> environment, String os) {
        String set = environment.getOrDefault("DEMITASSE_CACHE", "");
        if (!set.isEmpty()) {
            return Path.of(set);
        }
        String xdg = environment.getOrDefault("XDG_CACHE_HOME", "");
        String local = environment.getOrDefault("LOCALAPPDATA", "");
        if (!xdg.isEmpty()) {
            return Path.of(xdg, "demitasse");
        }
        if (os.contains("windows")) {
            return Path.of(local.isEmpty() ? System.getProperty("user.home", ".") : local, "demitasse");
        }
        // As everything else on such a machine; Java's own is that of the account, whatever HOME says.
        String home = environment.getOrDefault("HOME", "");
        Path own = Path.of(home.isEmpty() ? System.getProperty("user.home", ".") : home);
        return own.resolve(os.contains("mac") ? Path.of("Library", "Caches") : Path.of(".cache"))
                .resolve("demitasse");
    }
}
