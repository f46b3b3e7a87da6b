package graph

import (
	"context"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

const (
	cachedDocuments   = 256
	maxCachedDocument = 4 << 10 // bytes of query text
)

// document is a query text that was parsed, found within the limits, and
// validated. It is shared between requests: nothing of one request is in it, and
// nobody changes it.
type document struct {
	ast *ast.QueryDocument
	// conditions are the variables of @skip and @include that may be null by
	// their type; executing them with null would panic.
	conditions []string
}

// documents makes documents and keeps those of late.
type documents struct {
	schema *ast.Schema
	rules  []validator.Rule
	words  words
	cache  *lru.Cache[string, *document]
}

func newDocuments(schema *ast.Schema, suggestions bool) (*documents, error) {
	cache, err := lru.New[string, *document](cachedDocuments)
	if err != nil {
		return nil, err
	}
	return &documents{schema, validationRules(suggestions), newWords(schema, suggestions), cache}, nil
}

// prepare is the document of a query text, or why there is none.
func (d *documents) prepare(query string) (*document, *refusal) {
	keep := cacheable(query)
	if keep {
		if doc, ok := d.cache.Get(query); ok {
			return doc, nil
		}
	}
	parsed, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: query}, maxTokens)
	if err != nil {
		return nil, invalidDocument(codeParseFailed, d.words.parseError(err))
	}
	if err := checkLiterals(query); err != nil {
		return nil, invalidDocument(codeParseFailed, err)
	}
	if len(parsed.Operations) == 0 {
		return nil, invalidDocument(codeParseFailed, gqlerror.Errorf("The document has no operation."))
	}
	if refused := checkLimits(parsed); refused != nil {
		return nil, refused
	}
	if errs := d.validate(parsed); len(errs) > 0 {
		return nil, d.words.validationErrors(errs)
	}
	doc := &document{parsed, nullableConditions(parsed)}
	if keep {
		d.cache.Add(query, doc)
	}
	return doc, nil
}

// cacheable reports whether a query text may stay in memory. One with a string
// literal or a comment may not: people type passwords there.
func cacheable(query string) bool {
	return len(query) <= maxCachedDocument && !strings.ContainsAny(query, `"#`)
}

// validate runs the rules of the specification, and annotates the document.
func (d *documents) validate(doc *ast.QueryDocument) gqlerror.List {
	var errs gqlerror.List
	observers := &validator.Events{}
	for _, rule := range d.rules {
		rule.RuleFunc(observers, func(options ...validator.ErrorOption) {
			err := &gqlerror.Error{Rule: rule.Name}
			for _, option := range options {
				option(err)
			}
			errs = append(errs, err)
		})
	}
	validator.Walk(d.schema, doc, observers)
	return errs
}

// validationRules are the rules of the specification. Those that search for
// similar names do so only where the names may be told.
func validationRules(suggestions bool) []validator.Rule {
	set := []validator.Rule{
		rules.FragmentsOnCompositeTypesRule,
		rules.KnownDirectivesRule,
		rules.KnownFragmentNamesRule,
		rules.KnownRootTypeRule,
		rules.LoneAnonymousOperationRule,
		rules.MaxIntrospectionDepth,
		rules.NoFragmentCyclesRule,
		rules.NoUndefinedVariablesRule,
		rules.NoUnusedFragmentsRule,
		rules.NoUnusedVariablesRule,
		rules.OverlappingFieldsCanBeMergedRule,
		rules.PossibleFragmentSpreadsRule,
		rules.ProvidedRequiredArgumentsRule,
		rules.SingleFieldSubscriptionsRule,
		rules.UniqueArgumentNamesRule,
		rules.UniqueDirectivesPerLocationRule,
		rules.UniqueFragmentNamesRule,
		rules.UniqueInputFieldNamesRule,
		rules.UniqueOperationNamesRule,
		rules.UniqueVariableNamesRule,
		rules.VariablesAreInputTypesRule,
		rules.VariablesInAllowedPositionRule,
	}
	if suggestions {
		return append(set,
			rules.FieldsOnCorrectTypeRule, rules.KnownArgumentNamesRule, rules.KnownTypeNamesRule,
			rules.ScalarLeafsRule, rules.ValuesOfCorrectTypeRule)
	}
	return append(set,
		rules.FieldsOnCorrectTypeRuleWithoutSuggestions, rules.KnownArgumentNamesRuleWithoutSuggestions,
		rules.KnownTypeNamesRuleWithoutSuggestions, rules.ScalarLeafsRuleWithoutSuggestions,
		rules.ValuesOfCorrectTypeRuleWithoutSuggestions)
}

// nullableConditions finds the variables that decide an @skip or @include and
// may be null: the specification lets them, where they have a default.
func nullableConditions(doc *ast.QueryDocument) []string {
	nullable := map[string]bool{}
	for _, operation := range doc.Operations {
		for _, v := range operation.VariableDefinitions {
			if v.DefaultValue != nil && !v.Type.NonNull && v.Type.NamedType == "Boolean" {
				nullable[v.Variable] = true
			}
		}
	}
	if len(nullable) == 0 {
		return nil
	}
	var names []string
	collect := func(directives ast.DirectiveList) {
		for _, directive := range directives {
			condition := directive.Arguments.ForName("if")
			if condition != nil && condition.Value.Kind == ast.Variable && nullable[condition.Value.Raw] {
				names = append(names, condition.Value.Raw)
			}
		}
	}
	for _, operation := range doc.Operations {
		eachDirectives(operation.SelectionSet, collect)
	}
	for _, fragment := range doc.Fragments {
		eachDirectives(fragment.SelectionSet, collect)
	}
	return names
}

// eachDirectives calls visit for the directives of every selection in the text
// of set.
func eachDirectives(set ast.SelectionSet, visit func(ast.DirectiveList)) {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			visit(s.Directives)
			eachDirectives(s.SelectionSet, visit)
		case *ast.InlineFragment:
			visit(s.Directives)
			eachDirectives(s.SelectionSet, visit)
		case *ast.FragmentSpread:
			visit(s.Directives)
		}
	}
}

// checkConditions refuses null for a variable that decides an @skip or @include.
func (d *document) checkConditions(variables map[string]any) *refusal {
	for _, name := range d.conditions {
		if value, given := variables[name]; given && value == nil {
			return invalidDocument(codeValidationFailed, gqlerror.Errorf("A variable of @skip or @include cannot be null."))
		}
	}
	return nil
}

type documentKey struct{}

// prepared is the cache that the executor asks: it is given the document that
// was made for the request, and never makes one.
type prepared struct{}

func (prepared) Get(ctx context.Context, _ string) (*ast.QueryDocument, bool) {
	doc, ok := ctx.Value(documentKey{}).(*ast.QueryDocument)
	return doc, ok
}

func (prepared) Add(context.Context, string, *ast.QueryDocument) {}
