import CLlama
import Foundation

/// The process-wide side of llama.cpp: initialisation and its log.
public enum LlamaLibrary {
    /// Most sequences that one context can hold.
    public static var maximumSequences: Int { llama_max_parallel_sequences() }

    /// Whether there is a graphics processor or the like to compute layers.
    public static var hasAccelerator: Bool { llama_supports_gpu_offload() }

    /// llama.cpp's own version.
    public static var version: String { String(cString: llama_version()) }

    /// Errors and warnings that llama.cpp logged on this thread since they were last forgotten, newest last.
    private static var lines: [String] {
        get { Thread.current.threadDictionary[linesKey] as? [String] ?? [] }
        set { Thread.current.threadDictionary[linesKey] = newValue }
    }
    private static let linesKey = "transferq.llama.log"
    private static let isVerbose = ProcessInfo.processInfo.environment["TRANSFERQ_LLAMA_LOG"] != nil

    /// Runs once, before anything else of llama.cpp.
    static let start: Void = {
        llama_log_set({ level, text, _ in LlamaLibrary.keep(level: level, text: text) }, nil)
        llama_backend_init()
    }()

    private static func keep(level: ggml_log_level, text: UnsafePointer<CChar>?) {
        guard let text else { return }
        let line = String(cString: text)
        if isVerbose { FileHandle.standardError.write(Data(line.utf8)) }
        guard level == GGML_LOG_LEVEL_ERROR || level == GGML_LOG_LEVEL_WARN else { return }
        lines = (lines + [line.trimmingCharacters(in: .whitespacesAndNewlines)]).suffix(16)
    }

    /// Forgets what was logged, so that the next complaint belongs to the work that follows.
    static func forgetLog() { lines = [] }

    /// The first thing llama.cpp complained about, as the part of a sentence.
    static func firstComplaint(otherwise: String) -> String {
        let complaint =
            lines.first { $0.contains("error") || $0.contains("failed") || $0.contains("invalid") } ?? lines.first
        guard let complaint, !complaint.isEmpty else { return otherwise }
        // Drop the names of functions that llama.cpp puts before its messages.
        let message = complaint.replacing(/^([A-Za-z_0-9]+: )+/, with: "")
        return String(message.prefix(200))
    }
}
