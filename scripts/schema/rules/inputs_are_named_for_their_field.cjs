const { ValidationError } = require("graphql-schema-linter");

const RULE = "inputs-are-named-for-their-field";

/** A mutation takes one argument, `input`, of a type named for the field: login(input: LoginInput!). */
exports.InputsAreNamedForTheirField = function InputsAreNamedForTheirField(configuration, context) {
  const report = (message, node) => context.reportError(new ValidationError(RULE, message, [node]));
  return {
    InputObjectTypeDefinition(node) {
      if (!node.name.value.endsWith("Input")) report(`The name of the input type \`${node.name.value}\` does not end in \`Input\`.`, node);
    },
    ObjectTypeDefinition(node) {
      if (node.name.value !== "Mutation") return;
      for (const field of node.fields) {
        const name = field.name.value;
        const wanted = `${name[0].toUpperCase()}${name.slice(1)}Input`;
        const [input, ...more] = field.arguments;
        const type = input && (input.type.kind === "NonNullType" ? input.type.type : input.type);
        if (!input || more.length > 0 || input.name.value !== "input" || type.name?.value !== wanted) {
          report(`\`Mutation.${name}\` does not take \`input: ${wanted}\` alone.`, field);
        }
      }
    },
  };
};
