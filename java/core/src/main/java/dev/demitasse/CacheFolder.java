package dev.demitasse;

import java.nio.file.Path;
import java.util.Locale;

/** The folder of everything that can be had again: pulled models, and what was measured of a device. */
public final class CacheFolder {
    private CacheFolder() {}

    /** {@code $DEMITASSE_CACHE}, else the platform's folder for such things; it may not exist. */
    public static Path path() {
        String set = System.getenv("DEMITASSE_CACHE");
        if (set != null && !set.isEmpty()) {
            return Path.of(set);
        }
        String home = System.getProperty("user.home", ".");
        String os = System.getProperty("os.name", "").toLowerCase(Locale.ROOT);
        String xdg = System.getenv("XDG_CACHE_HOME");
        String local = System.getenv("LOCALAPPDATA");
        if (xdg != null && !xdg.isEmpty()) {
            return Path.of(xdg, "demitasse");
        }
        if (os.contains("mac")) {
            return Path.of(home, "Library", "Caches", "demitasse");
        }
        if (os.contains("windows") && local != null) {
            return Path.of(local, "demitasse");
        }
        return Path.of(home, ".cache", "demitasse");
    }
}
