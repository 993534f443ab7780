/**
 * The limits of the heap of a service and of the storefront's server, in MiB, as in the images. Node lets a
 * heap without limits grow to twice the memory. With the first limit alone, the space for new objects can
 * stay so small that collecting garbage takes most of the time.
 */
export const HEAP_OPTIONS = ["--max-old-space-size=256", "--max-semi-space-size=16"];
