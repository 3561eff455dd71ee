public import Foundation
public import TransferQ
public import TransferQRewards

/// All kinds of rewards, those included that need a model or another process.
public actor ModelRewards {
    private let models: ModelCache
    private let threads: Int?
    private let timeout: Double
    private let likely: [String]
    private let heads: URL?
    private let warn: @Sendable (String) -> Void
    private var readers: [String: TextReader] = [:]

    /// - Parameters:
    ///   - timeout: seconds that a program or server may take for a batch.
    ///   - likely: model files in use, which a head's backbone is looked for among first.
    ///   - heads: a folder of head files that are known by their names.
    ///   - warn: gets sentences of programs and servers about what looks wrong but is no error.
    public init(
        models: ModelCache, threads: Int? = nil, timeout: Double = 60, likely: [String] = [], heads: URL? = nil,
        warn: @escaping @Sendable (String) -> Void = RewardWarning.print
    ) {
        self.models = models
        self.threads = threads
        self.timeout = timeout
        self.likely = likely
        self.heads = heads
        self.warn = warn
    }

    /// `head`, `gguf`, `implicit`, `judge`, `command`, `http` and `https` besides the rules.
    public nonisolated var catalogue: RewardCatalogue {
        let (timeout, warn) = (timeout, warn)
        func server(_ scheme: String) -> RewardKind {
            RewardKind(name: scheme, argument: "//HOST/PATH", summary: "a server's answer to a POST") {
                ExclusiveReward(try HTTPReward(address: "\(scheme):\($0)", timeout: timeout, warn: warn))
            }
        }
        return RewardCatalogue.rules.adding([
            RewardKind(
                name: "head", argument: "FILE[@FORMAT]",
                summary: "a linear head, made by transferq reward fit or convert; FORMAT is one to read its model in"
            ) {
                try await self.head($0)
            },
            RewardKind(name: "gguf", argument: "FILE[#LABEL]", summary: "a classifier or reward model in GGUF") {
                try await self.gguf($0)
            },
            RewardKind(
                name: "implicit", argument: "CONFIG",
                summary: "beta·(log ρ_a − log ρ_b); CONFIG is JSON or a file: {\"a\": {\"system\": …}, \"b\": {}}"
            ) { try await self.implicit($0) },
            RewardKind(
                name: "judge", argument: "CONFIG",
                summary: "log-odds of yes to a question: {\"question\": \"… {response} …\", \"model\": …}"
            ) { try await self.judge($0) },
            RewardKind(name: "command", argument: "COMMAND", summary: "a program that reads and writes JSON lines") {
                try CommandReward(command: $0, timeout: timeout, warn: warn)
            },
            server("http"), server("https"),
        ])
    }

    private func head(_ name: String) async throws -> any RewardModel {
        var (path, format) = Quantization.split(name)
        if !path.contains("/"), !FileManager.default.fileExists(atPath: path),
            let known = heads?.appending(path: "\(path).json").path, FileManager.default.fileExists(atPath: known)
        {
            path = known
        }
        var head = try LinearHead.read(path)
        if let format {
            guard head.backbone.type != nil else {
                throw LlamaError.wrongBackbone(
                    head: name, model: head.backbone.model,
                    reason: "only known models come in other formats; leave @\(format.rawValue) out")
            }
            head.backbone.type = format.rawValue
        }
        // Where the head is, its backbone may be as well.
        let neighbour = URL(filePath: path).deletingLastPathComponent().appending(path: head.backbone.model).path
        let file = try await models.file(of: head.backbone, head: path, likely: likely + [neighbour])
        let reader = try await reader(file, template: head.template)
        if let layout = head.layout, try await reader.layoutFingerprint() != layout {
            throw LlamaError.wrongBackbone(
                head: name, model: file,
                reason: "it was fitted on prompts that were laid out otherwise than the model's template does here; "
                    + "fit it again with transferq reward fit")
        }
        return try HeadReward(head, name: "head:\(name)", reader: reader, file: path)
    }

    private func gguf(_ argument: String) async throws -> any RewardModel {
        let parts = argument.split(separator: "#", maxSplits: 1).map(String.init)
        let file = try await models.file(parts.first ?? "")
        let headFile = file + ".head.json"
        if FileManager.default.fileExists(atPath: headFile) {
            let head = try LinearHead.read(headFile)
            let reader = try await reader(file, template: head.template)
            let body = try await models.store.backbone(of: reader.model)
            guard body.sha256 == head.backbone.sha256, body.type == head.backbone.type else {
                throw LlamaError.wrongBackbone(
                    head: headFile, model: file, reason: "it was made for a file of another SHA-256")
            }
            guard parts.count == 1 else {
                throw TransferQError.rewardSpecification(
                    specification: "gguf:\(argument)", reason: "a head has one number; leave #\(parts[1]) out")
            }
            return try HeadReward(head, name: "gguf:\(argument)", reader: reader, file: headFile)
        }
        let model = try await models.load(file, purpose: .classification)
        return try ClassifierReward(
            name: "gguf:\(argument)", classifier: try await LlamaClassifier(model: model, threads: threads),
            label: parts.count == 2 ? parts[1] : nil)
    }

    private struct Source: Decodable {
        var model: String?
        var adapter: String?
        var system: String?
    }

    private struct Implicit: Decodable {
        let a: Source
        let b: Source
        var beta: Double?
        var perToken: Bool?
    }

    private func implicit(_ argument: String) async throws -> any RewardModel {
        let name = "implicit:\(argument)"
        let settings: Implicit = try Self.settings(
            argument, of: name, keys: ["a", "b", "beta", "perToken"],
            example: "{\"a\": {\"system\": \"You are kind.\"}, \"b\": {}, \"beta\": 0.1}")
        return try ImplicitReward(
            name: name, aligned: try await reader(settings.a), base: try await reader(settings.b),
            beta: settings.beta ?? 1, isPerToken: settings.perToken ?? false, files: Self.file(argument))
    }

    private struct Judge: Decodable {
        let question: String
        var yes: String?
        var no: String?
        var model: String?
        var adapter: String?
        var system: String?
    }

    private func judge(_ argument: String) async throws -> any RewardModel {
        let name = "judge:\(argument)"
        let settings: Judge = try Self.settings(
            argument, of: name, keys: ["question", "yes", "no", "model", "adapter", "system"],
            example: "{\"question\": \"Is this kind? {response} Answer Yes or No.\"}")
        let source = Source(model: settings.model, adapter: settings.adapter, system: settings.system)
        return try await JudgeReward(
            name: name, question: settings.question, yes: settings.yes ?? "Yes", no: settings.no ?? "No",
            reader: try await reader(source), files: Self.file(argument))
    }

    /// The file that settings are in, if they are in one.
    private static func file(_ argument: String) -> [String] { argument.hasPrefix("{") ? [] : [argument] }

    /// JSON, or a file of it.
    private static func settings<Settings: Decodable>(
        _ argument: String, of reward: String, keys: Set<String>, example: String
    ) throws -> Settings {
        func refused(_ reason: String) -> TransferQError {
            .rewardSpecification(specification: reward, reason: "\(reason), for example \(example)")
        }
        var data = Data(argument.utf8)
        if !argument.hasPrefix("{") {
            guard RegularFile.exists(argument), let contents = FileManager.default.contents(atPath: argument)
            else {
                throw refused("\(argument) is no file that can be read; name one, or write JSON")
            }
            data = contents
        }
        let object = try? JSONSerialization.jsonObject(with: data) as? [String: Any]  // refused right below
        guard let object else { throw refused("it is no JSON object; write one") }
        if let stranger = object.keys.sorted().first(where: { !keys.contains($0) }) {
            throw refused("it has the unknown key \"\(stranger)\"; write only \(keys.sorted().joined(separator: ", "))")
        }
        do { return try JSONDecoder().decode(Settings.self, from: data) } catch {
            throw refused("a key is missing or has a value of the wrong kind; write them all")
        }
    }

    /// Readers of one file with one template share their context.
    private func reader(_ file: String, template: LinearHead.Template) async throws -> TextReader {
        let key = "\(template.rawValue) \(file)"
        let model = try await models.load(file)
        // Looked for only now, as others may have asked meanwhile.
        if let reader = readers[key] { return reader }
        let reader = TextReader(model: model, template: template, threads: threads)
        readers[key] = reader
        return reader
    }

    private func reader(_ source: Source) async throws -> TextReader {
        let named = source.model == nil ? likely.first : nil
        let file: String
        if let named {
            file = named
        } else {
            file = try await models.file(source.model ?? KnownModel.demonstration.name)
        }
        let model = try await models.load(file)
        var adapter: LlamaAdapter?
        if let path = source.adapter { adapter = try await models.load(adapter: path, for: model) }
        return TextReader(model: model, adapter: adapter, system: source.system, threads: threads)
    }
}
