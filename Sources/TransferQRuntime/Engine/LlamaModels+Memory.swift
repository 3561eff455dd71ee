import TransferQLlama

extension LlamaModels {
    /// - Throws: ``LlamaError`` for a model file that cannot be read any more.
    public func slotMemory(for plan: SlotPlan) throws -> Int {
        let size = ContextSize(
            for: plan.methods, hasValueHead: plan.rewards.value != nil, longest: plan.maximumLength, policies: 1,
            parallel: plan.parallel)
        let cells = size.cells(policies: 1, prompt: plan.longestPrompt, sharesStates: plan.rewardSource != nil)
        let models = [model] + (hasBaseline ? [baselineModel ?? model] : [])
        return try models.reduce(0) { sum, model in
            let type = model.options.cacheType ?? (model.hasPreciseWeights ? .f32 : .f16)
            let estimate = try MemoryEstimate(files: model.files, cacheType: type)
            return sum + cells * estimate.perToken + estimate.compute
        }
    }
}
