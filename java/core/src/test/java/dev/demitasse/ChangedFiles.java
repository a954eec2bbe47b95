package dev.demitasse;

import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.gguf.GgufWriter;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.function.Consumer;

/** Copies of model files that differ in something. */
final class ChangedFiles {
    private static final ValueLayout.OfFloat NUMBER =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private ChangedFiles() {}

    /** A copy to which {@code change} is done. */
    static Path changed(Path from, Path to, Consumer<GgufWriter> change) throws IOException {
        try (Gguf source = Gguf.open(from)) {
            GgufWriter writer = GgufWriter.copyOf(source);
            change.accept(writer);
            writer.write(to);
        }
        return to;
    }

    /** A copy of an F32 model whose tensor of that name is multiplied; left out with its bias where that is NaN. */
    static Path scaled(Path from, Path to, String name, float factor) throws IOException {
        try (Gguf source = Gguf.open(from)) {
            GgufWriter writer = new GgufWriter(source.version(), source.alignment());
            source.metadata().all().forEach(writer::metadata);
            for (GgufTensor tensor : source.tensors()) {
                float[] values = tensor.data().toArray(NUMBER);
                boolean bias = Float.isNaN(factor) && tensor.name().equals(name.replace(".weight", ".bias"));
                boolean meant = bias || tensor.name().equals(name);
                for (int i = 0; meant && i < values.length; i++) {
                    values[i] *= factor;
                }
                if (!meant || !Float.isNaN(factor)) {
                    writer.tensor(tensor.name(), tensor.dimensions(), values);
                }
            }
            writer.write(to);
        }
        return to;
    }
}
