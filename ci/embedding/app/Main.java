package app;

import dev.demitasse.Devices;
import dev.demitasse.GenerationOptions;
import dev.demitasse.Linear;
import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.Session;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.exception.BackendUnavailableException;
import dev.demitasse.quant.WeightLayout;
import java.nio.file.Path;

/** Multiplies on each device that is named, and has a tiny model say something there. */
public final class Main {
    private Main() {}

    /** Arguments: a GGUF file, and names of backends. Prints a line a backend. */
    public static void main(String[] args) {
        for (int i = 1; i < args.length; i++) {
            try {
                System.out.println(args[i] + ": " + multiply(args[i]) + ", " + generate(Path.of(args[0]), args[i]));
            } catch (BackendUnavailableException e) {
                System.out.println(args[i] + ": " + e.getMessage());
            }
        }
    }

    private static float multiply(String backend) {
        float[] weights = new float[16 * 32];
        float[] x = new float[32];
        for (int k = 0; k < 32; k++) {
            weights[k] = k % 2;
            x[k] = 1;
        }
        try (Device device = Devices.open(backend, DeviceOptions.defaults());
                Linear linear = Linear.quantize(device, weights, 16, 32, WeightLayout.int8(32))) {
            return linear.multiply(x, 1)[0];
        }
    }

    private static String generate(Path file, String backend) {
        GenerationOptions options = GenerationOptions.GREEDY.withMaximumTokens(4).withIgnoreEnd(true);
        try (Model model = Model.load(file, ModelOptions.DEFAULT.withBackend(backend).withContextLength(64));
                Session session = model.newSession()) {
            return session.generate("hello", options, text -> {}).tokens() + "";
        }
    }
}
