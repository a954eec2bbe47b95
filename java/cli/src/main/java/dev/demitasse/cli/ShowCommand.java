package dev.demitasse.cli;

import dev.demitasse.ModelSize;
import dev.demitasse.chat.OtherMedia;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.fetch.Catalogue;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import dev.demitasse.kv.KvType;
import dev.demitasse.safetensors.Safetensors;
import java.lang.reflect.Array;
import java.math.BigInteger;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code demitasse show}. */
@Command(name = "show", description = "Prints a model's metadata, tensors, and bytes per tensor type.")
final class ShowCommand implements Callable<Integer> {
    private static final int SHOWN_CHARACTERS = 80;
    private static final List<KvType> CACHES = List.of(KvType.F16, KvType.INT8, KvType.FP8, KvType.INT4);

    @Parameters(paramLabel = "MODEL", description = "A GGUF or safetensors file, an index of those, or a cached name.")
    String model = "";

    @Option(names = "--json", description = "One JSON object.")
    boolean json;

    @Option(names = "--backend", paramLabel = "NAME", description = "Say what the weights take on this device, too.")
    @Nullable
    String backend;

    @Override
    public Integer call() {
        Path path = PullCommand.cache().resolve(model, Catalogue.load());
        if (Safetensors.isNamed(path)) {
            try (Safetensors file = Safetensors.open(path)) {
                SafetensorsReport.print(file, json);
            }
            return 0;
        }
        try (Gguf file = Gguf.open(path)) {
            if (json) {
                System.out.println(json(file));
            } else {
                print(file);
            }
        }
        return 0;
    }

    /** By type: tensors, their bytes in the file, and on a GPU. */
    private static Map<String, long[]> bytesPerType(Gguf file) {
        Map<String, long[]> perType = new TreeMap<>();
        for (GgufTensor tensor : file.tensors()) {
            long[] sums = perType.computeIfAbsent(tensor.type().name(), type -> new long[3]);
            sums[0]++;
            sums[1] += tensor.data().byteSize();
            sums[2] += ModelSize.gpuBytes(tensor);
        }
        return perType;
    }

    /** Bytes that the weights take on the device that was asked for. */
    private static long deviceBytes(Gguf file, String backend) {
        return ModelSize.deviceBytes(file, backend, DeviceOptions.defaults());
    }

    private void print(Gguf file) {
        System.out.printf("GGUF version %d, %,d bytes%n%n", file.version(), file.fileBytes());
        file.metadata()
                .all()
                .forEach((key, value) -> System.out.printf("%-44s %s%n", Console.harmless(key), describe(value)));
        System.out.println();
        for (GgufTensor tensor : file.tensors()) {
            System.out.printf(
                    "%-36s %-7s %s%n",
                    Console.harmless(tensor.name()), tensor.type(), Arrays.toString(tensor.dimensions()));
        }
        System.out.println();
        bytesPerType(file)
                .forEach((type, sums) -> System.out.printf(
                        Locale.ROOT,
                        "%-7s %5d tensors %,15d bytes, on a GPU about %,15d%n",
                        type,
                        sums[0],
                        sums[1],
                        sums[2]));
        System.out.println();
        try {
            ModelSize size = ModelSize.of(file);
            row("parameters", size.parameters());
            row("of them for a token", size.activeParameters());
            row("bytes read for a token", size.bytesPerToken());
            row("bytes on a GPU, about", size.gpuBytes());
            if (backend != null) {
                row("bytes on " + backend, deviceBytes(file, backend));
            }
            for (KvType type : CACHES) {
                row("bytes of cache a position, " + type, cacheBytes(size, type));
            }
            for (KvType type : CACHES) {
                row(
                        "… a session of " + size.contextLength() + ", " + type,
                        cacheBytes(size, type) * size.contextLength());
            }
            row("bytes of states a session", size.stateBytes());
            row("bytes of its draft block", size.draftBytes());
            List<String> leftOut = OtherMedia.leftOut(file.metadata());
            if (!leftOut.isEmpty()) {
                System.out.println(OtherMedia.sentence(leftOut));
            }
        } catch (UnsupportedModelException | ModelFormatException e) {
            System.out.println("It cannot be run: " + Console.harmless(String.valueOf(e.getMessage())));
        }
    }

    private static long cacheBytes(ModelSize size, KvType type) {
        return size.cacheBytesPerPosition().getOrDefault(type, 0L);
    }

    private static void row(String what, long value) {
        System.out.printf(Locale.ROOT, "%-40s %,20d%n", what, value);
    }

    private static String describe(MetadataValue value) {
        Object content = value.value();
        String text = value.elementType() == null
                ? String.valueOf(content instanceof Number number ? unsigned(value.type(), number) : content)
                : value.elementType() + "[" + Array.getLength(content) + "]";
        String line = Console.harmless(text.replace("\n", "\\n"));
        return line.length() <= SHOWN_CHARACTERS ? line : line.substring(0, SHOWN_CHARACTERS) + " …";
    }

    /** A number as its type says: Java has no unsigned ones, so that the largest look negative. */
    private static Number unsigned(MetadataType type, Number number) {
        return switch (type) {
            case UINT8 -> number.longValue() & 0xFF;
            case UINT16 -> number.longValue() & 0xFFFF;
            case UINT32 -> number.longValue() & 0xFFFF_FFFFL;
            case UINT64 -> new BigInteger(Long.toUnsignedString(number.longValue()));
            default -> number;
        };
    }

    private String json(Gguf file) {
        return JsonLine.of(out -> {
            out.writeNumberField("version", file.version());
            out.writeNumberField("bytes", file.fileBytes());
            out.writeObjectFieldStart("metadata");
            for (Map.Entry<String, MetadataValue> entry : file.metadata().all().entrySet()) {
                Object content = entry.getValue().value();
                out.writeFieldName(entry.getKey());
                switch (content) {
                    case Boolean b -> out.writeBoolean(b);
                    case Float f -> out.writeNumber(f);
                    case Double d -> out.writeNumber(d);
                    case Number n ->
                        out.writeNumber(String.valueOf(unsigned(entry.getValue().type(), n)));
                    case String s -> out.writeString(s);
                    default -> out.writeString(describe(entry.getValue()));
                }
            }
            out.writeEndObject();
            out.writeArrayFieldStart("tensors");
            for (GgufTensor tensor : file.tensors()) {
                out.writeStartObject();
                out.writeStringField("name", tensor.name());
                out.writeStringField("type", tensor.type().name());
                out.writeFieldName("shape");
                out.writeArray(tensor.dimensions(), 0, tensor.dimensions().length);
                out.writeNumberField("bytes", tensor.data().byteSize());
                out.writeEndObject();
            }
            out.writeEndArray();
            out.writeObjectFieldStart("bytesPerType");
            for (Map.Entry<String, long[]> entry : bytesPerType(file).entrySet()) {
                out.writeNumberField(entry.getKey(), entry.getValue()[1]);
            }
            out.writeEndObject();
            try {
                ModelSize size = ModelSize.of(file);
                out.writeNumberField("parameters", size.parameters());
                out.writeNumberField("activeParameters", size.activeParameters());
                out.writeNumberField("bytesPerToken", size.bytesPerToken());
                out.writeNumberField("gpuBytes", size.gpuBytes());
                if (backend != null) {
                    out.writeNumberField("deviceBytes", deviceBytes(file, backend));
                }
                out.writeNumberField("contextLength", size.contextLength());
                out.writeObjectFieldStart("cacheBytesPerPosition");
                for (KvType type : CACHES) {
                    out.writeNumberField(type.name(), cacheBytes(size, type));
                }
                out.writeEndObject();
                out.writeNumberField("stateBytes", size.stateBytes());
                out.writeNumberField("draftBytes", size.draftBytes());
                out.writeArrayFieldStart("leftOut");
                for (String each : OtherMedia.leftOut(file.metadata())) {
                    out.writeString(each);
                }
                out.writeEndArray();
            } catch (UnsupportedModelException | ModelFormatException e) {
                out.writeStringField("refused", e.getMessage());
            }
        });
    }
}
