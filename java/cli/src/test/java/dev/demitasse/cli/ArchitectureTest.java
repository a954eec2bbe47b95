package dev.demitasse.cli;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The rules of the rooms. */
class ArchitectureTest {
    private static final JavaClasses CLASSES = new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPackages("dev.demitasse");

    /** Modules of devices, by package; only the service loader knows them. */
    private static final String[] DEVICES = {
        "dev.demitasse.vector..", "dev.demitasse.nativecpu..", "dev.demitasse.cuda.."
    };

    @Test
    void modulesDependOnCoreOnly() {
        for (String device : DEVICES) {
            noClasses()
                    .that()
                    .resideOutsideOfPackages(device, "dev.demitasse.testkit..")
                    .should()
                    .dependOnClassesThat()
                    .resideInAPackage(device)
                    .check(CLASSES);
            noClasses()
                    .that()
                    .resideInAPackage(device)
                    .should()
                    .dependOnClassesThat()
                    .resideInAnyPackage("dev.demitasse.cli..", "dev.demitasse.reference..", "dev.demitasse.testkit..")
                    .check(CLASSES);
        }
        noClasses()
                .that()
                .resideOutsideOfPackages("dev.demitasse.cli..", "dev.demitasse.testkit..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("dev.demitasse.cli..", "dev.demitasse.testkit..")
                .check(CLASSES);
    }

    @Test
    void theForwardPassKnowsNeitherDevicesNorThreads() {
        noClasses()
                .that()
                .resideInAPackage("dev.demitasse.model..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(
                        "dev.demitasse.reference..",
                        "dev.demitasse.runtime..",
                        "dev.demitasse.vector..",
                        "dev.demitasse.nativecpu..",
                        "dev.demitasse.cuda..",
                        "java.util.concurrent..")
                .check(CLASSES);
    }

    @Test
    void packagesHaveNoCircles() {
        slices().matching("dev.demitasse.(gguf|quant|memory)..")
                .should()
                .beFreeOfCycles()
                .check(CLASSES);
        slices().matching("dev.demitasse.(tokenizer|chat|sampling)..")
                .should()
                .beFreeOfCycles()
                .check(CLASSES);
    }

    @Test
    void namesSayWhatThingsAre() {
        noClasses().should().haveSimpleNameEndingWith("Utils").check(CLASSES);
        noClasses().should().haveSimpleNameEndingWith("Util").check(CLASSES);
        noClasses().should().haveSimpleNameEndingWith("Manager").check(CLASSES);
        noClasses().should().haveSimpleNameEndingWith("Impl").check(CLASSES);
        classes()
                .that()
                .areAssignableTo(Throwable.class)
                .should()
                .haveSimpleNameEndingWith("Exception")
                .check(CLASSES);
    }

    /** The README's matrix: a kernel file for each operation that has one, and every operation in a row. */
    @Test
    void theReadmesMatrixNamesEveryOperation() throws IOException {
        String readme = Files.readString(Golden.root().resolve("README.md"));
        for (var method : dev.demitasse.device.Device.class.getDeclaredMethods()) {
            List<String> others = List.of(
                    "name",
                    "description",
                    "threads",
                    "activations",
                    "allocate",
                    "upload",
                    "allocateKv",
                    "discard",
                    "close");
            if (!others.contains(method.getName()) && !method.isSynthetic()) {
                assertThat(readme).as("matrix row").contains("| `" + method.getName() + "` |");
            }
        }
        for (String folder :
                List.of("java/vector/src/main/java/dev/demitasse/vector", "native/kernels", "cuda/kernels")) {
            try (Stream<Path> kernels = Files.list(Golden.root().resolve(folder))) {
                kernels.map(path -> String.valueOf(path.getFileName()))
                        .filter(name -> name.matches("(Gemv|Gemm)\\w+\\.java|gem[mv]\\w*\\.(h|cu)"))
                        .forEach(name -> assertThat(readme).contains(name.replaceAll("\\.(java|h|cu)", "")));
            }
        }
    }
}
