import CLlama

/// Memory of a device that computes beside the processor, in megabytes of 10⁶ bytes.
struct DeviceMemory: Encodable {
    let device: String
    let used: Double

    /// Of all such devices, whoever uses it.
    static func now() -> [DeviceMemory] {
        (0..<ggml_backend_dev_count()).compactMap { index in
            guard let device = ggml_backend_dev_get(index),
                ggml_backend_dev_type(device) != GGML_BACKEND_DEVICE_TYPE_CPU
            else { return nil }
            var (free, total) = (0, 0)
            ggml_backend_dev_memory(device, &free, &total)
            guard total > 0 else { return nil }
            return DeviceMemory(
                device: String(cString: ggml_backend_dev_description(device)), used: Double(total - free) / 1e6)
        }
    }

    /// What is used beyond what was.
    static func more(than before: [DeviceMemory]) -> [DeviceMemory] {
        zip(now(), before).map { DeviceMemory(device: $0.device, used: $0.used - $1.used) }
    }
}
