import java.io.IOException;
import java.io.InputStream;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassHierarchyResolver;
import java.lang.classfile.ClassModel;
import java.lang.classfile.ClassTransform;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarOutputStream;

/**
 * Rewrites a jar's classes of old versions to that of Java 11, with stack maps. The JDK's start-up cache leaves out
 * classes of Java 5, as picocli's are, and loading them from the jar takes 0.12 s of every start.
 */
public class RaiseClassVersion {
    private static final int OLD = ClassFile.JAVA_6_VERSION;

    /** Arguments: folder, beginning of the jar's name. */
    public static void main(String[] args) throws IOException {
        try (var jars = Files.newDirectoryStream(Path.of(args[0]), args[1] + "*.jar")) {
            for (Path jar : jars) {
                rewrite(jar);
            }
        }
    }

    private static void rewrite(Path jar) throws IOException {
        Path rewritten = jar.resolveSibling(jar.getFileName() + ".part");
        try (JarFile in = new JarFile(jar.toFile());
                URLClassLoader classes =
                        new URLClassLoader(new URL[] {jar.toUri().toURL()});
                JarOutputStream out = new JarOutputStream(Files.newOutputStream(rewritten))) {
            ClassFile classFile = ClassFile.of(
                    ClassFile.StackMapsOption.GENERATE_STACK_MAPS,
                    ClassFile.ClassHierarchyResolverOption.of(ClassHierarchyResolver.ofResourceParsing(classes)
                            .orElse(ClassHierarchyResolver.defaultResolver())));
            for (JarEntry entry : in.stream().toList()) {
                try (InputStream bytes = in.getInputStream(entry)) {
                    JarEntry copy = new JarEntry(entry.getName());
                    copy.setTime(entry.getTime());
                    out.putNextEntry(copy);
                    byte[] content = bytes.readAllBytes();
                    out.write(entry.getName().endsWith(".class") ? raised(classFile, content) : content);
                    out.closeEntry();
                }
            }
        }
        Files.move(rewritten, jar, StandardCopyOption.REPLACE_EXISTING);
    }

    private static byte[] raised(ClassFile classFile, byte[] content) {
        ClassModel model = classFile.parse(content);
        if (model.majorVersion() >= OLD) {
            return content;
        }
        // Code is copied instruction by instruction, so that its stack maps are made.
        return classFile.transformClass(
                model,
                ClassTransform.transformingMethodBodies((code, element) -> code.with(element))
                        .andThen(ClassTransform.endHandler(b -> b.withVersion(ClassFile.JAVA_11_VERSION, 0))));
    }
}
