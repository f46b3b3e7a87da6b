const { ValidationError } = require("graphql-schema-linter");

/** Directives and their arguments are described like types and fields. */
exports.DirectivesHaveDescriptions = function DirectivesHaveDescriptions(configuration, context) {
  return {
    DirectiveDefinition(directive) {
      for (const node of [directive, ...directive.arguments]) {
        if (node.description?.value) continue;
        const name = node === directive ? `@${directive.name.value}` : `@${directive.name.value}(${node.name.value}:)`;
        context.reportError(new ValidationError("directives-have-descriptions", `\`${name}\` is missing a description.`, [node]));
      }
    },
  };
};
