public import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQEvaluation
public import TransferQLlama
import TransferQRuntime

struct ModelsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "models", abstract: "List, get, inspect and requantise model files.",
        subcommands: [
            List.self, Pull.self, Info.self, Prompt.self, Optimize.self, MeasureCommand.self, VerifyCommand.self,
        ])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List known models and the files in the cache.")

        func run() throws {
            let store = ModelFiles.store
            for model in KnownModel.all {
                let isThere = FileManager.default.fileExists(atPath: store.file(model.file).path)
                Console.print("\(model.name)  \(isThere ? "here" : "not here")  \(model.license)")
            }
            for file in try store.files() {
                Console.print("\(file.path)  \(try GGUFFile.size(file.path) / 1_000_000) MB")
            }
        }
    }

    struct Pull: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Bring a model into the cache.",
            discussion: """
                SOURCE is a known name (see: transferq models list), a GGUF file, an https address, or \
                hf:OWNER/REPO/FILE.gguf. A download that was cut goes on where it stopped.
                """)

        @Argument(help: "A known name, a file, an https address or hf:OWNER/REPO/FILE.gguf.")
        var source: String

        @Option(help: "The SHA-256 that the file must have, in hexadecimal.")
        var sha256: String?

        func validate() throws {
            if let sha256, sha256.count != 64 || !sha256.allSatisfy(\.isHexDigit) {
                throw ValidationError("--sha256 must be 64 hexadecimal digits")
            }
        }

        func run() async throws {
            let target = try await Interruption.cancellable { try await bring() }
            Console.progress("")
            let path = target.path
            do {
                let header = try GGUFHeader(path)
                switch header.kind {
                // Whether it fits is seen with its model.
                case .adapter: try header.checkExtents()
                case .classifier: try await ModelFiles.probe.check(model: path, purpose: .classification)
                case .model: try await ModelFiles.probe.check(model: path)
                }
            } catch {
                // A file that cannot be used must not stand in the way of a better one.
                if KnownModel.named(source) == nil { try FileManager.default.removeItem(at: target) }
                throw error
            }
            Console.print("\(path)  sha256 \(try await GGUFFile.sha256(of: path))")
        }

        private func bring() async throws -> URL {
            let store = ModelFiles.store
            if let known = KnownModel.named(source) {
                return try await store.alone(making: known.file, waiting: Self.waits) {
                    try await pull(known, store: store)
                }
            }
            if FileManager.default.fileExists(atPath: source) {
                try GGUFFile.check(source)
                if let sha256 {
                    let got = try await GGUFFile.sha256(of: source)
                    guard got == sha256.lowercased() else {
                        throw UsageError("\(source) has SHA-256 \(got), not \(sha256); nothing was copied")
                    }
                }
                let target = store.file(URL(filePath: source).lastPathComponent)
                guard !FileManager.default.fileExists(atPath: target.path) else {
                    throw StoreError.exists(path: target.path)
                }
                try GGUFHeader(source).checkExtents()
                try store.copy(source, to: target)
                return target
            }
            guard source.contains(":") else { throw StoreError.badAddress(source) }
            let address = try Downloader.address(source)
            let target = store.file(address.lastPathComponent)
            try await Downloader().download(address, to: target, sha256: sha256, waiting: Self.waits) { received in
                Console.progress("\(received / 1_000_000) MB")
            }
            return target
        }

        private static func waits() { Console.say("another program is bringing this file; waiting for it") }

        private func pull(_ known: KnownModel, store: ModelStore) async throws -> URL {
            let file = store.file(known.file)
            if FileManager.default.fileExists(atPath: file.path) {
                guard try await GGUFFile.sha256(of: file.path) == known.sha256 else {
                    throw UsageError("\(file.path) is not the published file any more; remove it and pull again")
                }
            } else {
                try await PackageSource(store: store).fetch(known) { Console.say($0) }
            }
            guard let format = known.optimized else { return file }
            let preferred = store.file(known.preferredFile)
            if !FileManager.default.fileExists(atPath: preferred.path) {
                Console.say("requantising to \(format.rawValue), for which this machine has fast kernels")
                try await format.requantize(file.path, to: preferred.path)
            }
            return preferred
        }
    }

    struct Info: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what a GGUF file is: a language model, a classifier or a LoRA adapter.")

        @Argument(help: "A known name or a GGUF file.")
        var model: String

        @Option(help: "Format of keys and values that memory is told for (default: f16).")
        var cacheType: LlamaOptions.CacheType?

        @Option(help: "text or json.")
        var format: OutputFormat = .text

        func run() async throws {
            let path = try await ModelFiles.path(model)
            let header = try GGUFHeader(path)
            switch header.kind {
            case .adapter: return try await AdapterReport(header).show(format)
            case .classifier: return try await ClassifierReport(header).show(format)
            case .model: break
            }
            let memory = try RunMemory(
                files: GGUFFile.parts(of: path), method: DecodingMethods.make(TransferQDirect.name),
                cacheType: cacheType ?? .f16)
            let model = try await ModelFiles.load(path)
            let report = Report(
                path: path, sha256: try await GGUFFile.sha256(of: path), summary: model.summary,
                architecture: model.architecture, parameters: model.parameterCount,
                contextLength: model.contextLength, vocabularySize: model.tokenizer.size, memory: memory,
                template: await TemplateReport(model))
            switch format {
            case .json: Console.print(try JSON.pretty(report))
            case .text:
                Console.print(
                    """
                    file         \(report.path)
                    sha256       \(report.sha256)
                    model        \(report.summary), \(report.parameters) weights
                    context      \(report.contextLength) tokens
                    vocabulary   \(report.vocabularySize) tokens
                    memory       \(report.memoryLine)
                    template     \(report.template.line)
                    """)
            }
        }

        struct Report: Encodable {
            let path: String
            let sha256: String
            let summary: String
            let architecture: String
            let parameters: Int
            let contextLength: Int
            let vocabularySize: Int
            /// Bytes.
            let memory: RunMemory
            let template: TemplateReport

            var memoryLine: String {
                let (model, total) = (memory.model, memory.total)
                return
                    "\(model.weights / 1_000_000) MB of weights, \((Double(model.perToken) / 1000).fixed(1)) kB for each "
                    + "token of a context (\(model.cacheType)); about \(total / 1_000_000) MB for \(memory.method) with a prompt "
                    + "of \(memory.promptTokens) tokens, an answer of \(memory.answerTokens), and a baseline"
            }
        }
    }

    struct Optimize: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Requantise a model file into a format with fast kernels.",
            discussion: "Compare the result with `transferq models measure`: fewer bits are faster and less exact.")

        @Argument(help: "A known name or a GGUF file.") var input: String
        @Argument(help: "The file to write.") var output: String
        @Option(help: "\(Quantization.allCases.map(\.rawValue).joined(separator: " or ")).")
        var type: Quantization = .q8

        func run() async throws {
            guard !output.isEmpty else { throw UsageError("name the file to write, for example model.Q8_0.gguf") }
            let path = try await ModelFiles.path(input)
            try await ModelFiles.probe.check(model: path)
            try await type.requantize(path, to: output)
            Console.print("\(output)  sha256 \(try await GGUFFile.sha256(of: output))")
        }
    }
}

extension Quantization: ExpressibleByArgument {}
