/** The service-provider interface of devices. */
@NullMarked
package dev.demitasse.device;

import org.jspecify.annotations.NullMarked;
