package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Where the cache lies, by the environment and the operating system. */
class CacheFolderTest {
    @Test
    void theNearestSettingDecides() {
        Map<String, String> all = Map.of("DEMITASSE_CACHE", "a", "XDG_CACHE_HOME", "b", "HOME", "c");
        assertThat(CacheFolder.path(all, "linux")).isEqualTo(Path.of("a"));
        Map<String, String> without = Map.of("DEMITASSE_CACHE", "", "XDG_CACHE_HOME", "b", "HOME", "c");
        assertThat(CacheFolder.path(without, "linux")).isEqualTo(Path.of("b", "demitasse"));
        Map<String, String> home = Map.of("HOME", "c");
        assertThat(CacheFolder.path(home, "linux")).isEqualTo(Path.of("c", ".cache", "demitasse"));
        assertThat(CacheFolder.path(home, "mac os x")).isEqualTo(Path.of("c", "Library", "Caches", "demitasse"));
    }

    @Test
    void withoutAHomeItIsThatOfTheAccount() {
        Path account = Path.of(System.getProperty("user.home"));
        assertThat(CacheFolder.path(Map.of(), "linux")).isEqualTo(account.resolve(Path.of(".cache", "demitasse")));
        assertThat(CacheFolder.path(Map.of("HOME", ""), "linux")).isEqualTo(CacheFolder.path(Map.of(), "linux"));
        assertThat(CacheFolder.path(Map.of("HOME", "c"), "windows 11")).isEqualTo(account.resolve("demitasse"));
        assertThat(CacheFolder.path(Map.of("LOCALAPPDATA", "d"), "windows 11")).isEqualTo(Path.of("d", "demitasse"));
    }
}
