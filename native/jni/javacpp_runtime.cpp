// What JavaCPP's initializer calls, where the linker cannot leave that out. Nobody calls it: it is renamed.
#include <jni.h>

extern "C" {
jint JNI_OnLoad_jnijavacpp(JavaVM*, void*) { return JNI_ERR; }
void JNI_OnUnload_jnijavacpp(JavaVM*, void*) {}
}
