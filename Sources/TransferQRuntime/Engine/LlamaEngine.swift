import TransferQ
public import TransferQLlama

/// GGUF models on llama.cpp in this process.
public struct LlamaEngine: Engine {
    public let library: ModelLibrary
    /// Of a call of llama.cpp; nil for one for each processor.
    public let threads: Int?

    /// What a chat template is told that asks for the date; nil for now.
    public let templateDate: TemplateDate?

    public init(library: ModelLibrary = ModelLibrary(), threads: Int? = nil, templateDate: TemplateDate? = nil) {
        self.library = library
        self.threads = threads
        self.templateDate = templateDate
    }

    public var capabilities: EngineCapabilities {
        EngineCapabilities(hasStates: true, hasAdapters: true, sharesBatches: true)
    }

    public func load(_ model: ModelSpec?, baseline: BaselineSpec?) async throws -> LlamaModels {
        if let templateDate { TemplateDate.set(templateDate) }
        let reference = try await library.load(await library.path(model?.name))
        var other: LlamaModel?
        if let name = baseline?.model?.name { other = try await library.load(await library.path(name)) }
        if let other, other.tokenizer.fingerprint != reference.tokenizer.fingerprint {
            throw TransferQError.vocabulariesDiffer(reference: reference.path, baseline: other.path)
        }
        var adapter: LlamaAdapter?
        if let path = baseline?.adapter { adapter = try await library.models.load(adapter: path, for: reference) }
        return LlamaModels(
            model: reference, baselineModel: other, adapter: adapter, baseline: baseline, threads: threads,
            library: library)
    }

    public func file(of model: ModelSpec?) async throws -> String? { try await library.path(model?.name) }

    /// Hashes of the content of all files, and the date that stands in prompts because a chat template asks for it: as it was
    /// set, or else the day.
    public func settings(_ model: ModelSpec?, baseline: BaselineSpec?) async throws -> [String: String] {
        let reference = try await library.path(model?.name)
        let other = try await baseline?.model.asyncMap { try await library.path($0.name) }
        var settings = ["model": try await library.models.digest(of: reference)]
        settings["baseline"] = try await other.asyncMap(library.models.digest)
        settings["adapter of the baseline"] = try await baseline?.adapter.asyncMap(library.models.digest)
        for path in [reference, other].compactMap({ $0 }) {
            let template = try await library.load(path).chatTemplate
            guard template?.contains("strftime_now") == true else { continue }
            settings["date that templates are told"] =
                templateDate?.description ?? String("\(TemplateDate.current)".prefix { $0 != "T" })
            break
        }
        return settings
    }
}

extension Optional {
    fileprivate func asyncMap<Result>(_ transform: (Wrapped) async throws -> Result) async rethrows -> Result? {
        guard let self else { return nil }
        return try await transform(self)
    }
}
