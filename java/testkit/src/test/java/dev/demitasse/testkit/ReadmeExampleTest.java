package dev.demitasse.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.Devices;
import dev.demitasse.Linear;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.quant.WeightLayout;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReadmeExampleTest {
    private static final Pattern EXAMPLE = Pattern.compile("```java\\n(.*?)```", Pattern.DOTALL);

    @Test
    void theExamplesOfTheReadmeCompile(@TempDir Path folder) throws IOException {
        Matcher matcher = EXAMPLE.matcher(Files.readString(Golden.root().resolve("README.md")));
        int count = 0;
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        while (matcher.find()) {
            String name = "Example" + count++;
            String code = matcher.group(1).replaceAll("class \\w+", "class " + name);
            Path file = folder.resolve(name + ".java");
            Files.writeString(file, code);
            int result = compiler.run(
                    null,
                    null,
                    null,
                    "-cp",
                    System.getProperty("java.class.path"),
                    "-d",
                    folder.toString(),
                    file.toString());
            assertThat(result).as("example %d compiles", count).isZero();
        }
        assertThat(count).isGreaterThanOrEqualTo(2);
    }

    @Test
    void aQuantisedMatrixMultipliesCloseToTheExactOne() {
        float[] w = KernelCases.numbers(64 * 96, KernelCases.Fill.RANDOM, new java.util.SplittableRandom(5));
        float[] x = KernelCases.numbers(3 * 96, KernelCases.Fill.RANDOM, new java.util.SplittableRandom(6));
        try (Device device = Devices.open("reference", DeviceOptions.defaults())) {
            for (WeightLayout layout : List.of(WeightLayout.int8(32), WeightLayout.int4(32))) {
                try (Linear linear = Linear.quantise(device, w, 64, 96, layout)) {
                    float[] y = linear.multiply(x, 3);
                    double error = 0;
                    double power = 0;
                    for (int i = 0; i < y.length; i++) {
                        double exact = 0;
                        for (int k = 0; k < 96; k++) {
                            exact += (double) w[i % 64 * 96 + k] * x[i / 64 * 96 + k];
                        }
                        error += (y[i] - exact) * (y[i] - exact);
                        power += exact * exact;
                    }
                    assertThat(error / power).isLessThan(layout.element().bits() == 8 ? 3e-4 : 0.05);
                }
            }
        }
    }
}
