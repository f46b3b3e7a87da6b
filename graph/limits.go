package graph

import (
	"fmt"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// What a document may ask for, counted after its fragments are put in.
const (
	maxTokens     = 1000 // as the parser counts them
	maxNodes      = 500  // fields, fragment spreads and inline fragments
	maxDepth      = 8    // fields inside fields
	maxAliases    = 15
	maxDirectives = 20
	maxAlias      = 64 // bytes of one: an answer repeats it for each item of a list

	// The subtrees of __schema and __type count here and not above. The query
	// that GraphiQL sends has 240 nodes and is 15 deep.
	maxIntrospectionNodes   = 500
	maxIntrospectionDepth   = 15
	maxIntrospectionAliases = 15
)

// isIntrospectionField: __typename is not one, it may be asked anywhere.
func isIntrospectionField(name string) bool { return name == "__schema" || name == "__type" }

// cost is what a selection asks for.
type cost struct {
	nodes, depth, aliases, directives                            int
	introspectionNodes, introspectionDepth, introspectionAliases int
	longestAlias                                                 int
}

// add counts a part that stands beside the others, or, shifted down by the
// field it is in, inside it. Numbers stop at a bound: a few nested fragments
// would leave an int behind.
func (c *cost) add(part cost) {
	const bound = 1 << 20
	c.nodes = min(c.nodes+part.nodes, bound)
	c.aliases = min(c.aliases+part.aliases, bound)
	c.directives = min(c.directives+part.directives, bound)
	c.introspectionNodes = min(c.introspectionNodes+part.introspectionNodes, bound)
	c.introspectionAliases = min(c.introspectionAliases+part.introspectionAliases, bound)
	c.depth = max(c.depth, part.depth)
	c.introspectionDepth = max(c.introspectionDepth, part.introspectionDepth)
	c.longestAlias = max(c.longestAlias, part.longestAlias)
}

// counter counts a document that is parsed and not yet validated. The cost of a
// fragment is found once, so counting takes time in proportion to the text.
type counter struct {
	fragments map[string]*ast.FragmentDefinition
	known     map[fragmentUse]cost // an entry is made before a fragment is entered, so a cycle costs nothing
	visits    int                  // selections that were looked at
}

// fragmentUse tells the two ways apart in which the same fragment can count.
type fragmentUse struct {
	name          string
	introspection bool
}

// checkLimits refuses a document that asks for more than the limits, in any of
// its operations.
func checkLimits(doc *ast.QueryDocument) *refusal {
	return newCounter(doc).check(doc)
}

func newCounter(doc *ast.QueryDocument) *counter {
	c := &counter{known: map[fragmentUse]cost{}}
	if len(doc.Fragments) > 0 {
		c.fragments = make(map[string]*ast.FragmentDefinition, len(doc.Fragments))
	}
	for _, fragment := range doc.Fragments {
		if _, ok := c.fragments[fragment.Name]; !ok {
			c.fragments[fragment.Name] = fragment
		}
	}
	return c
}

func (c *counter) check(doc *ast.QueryDocument) *refusal {
	for _, operation := range doc.Operations {
		total := c.selections(operation.SelectionSet, false)
		total.add(cost{directives: len(operation.Directives)})
		for _, variable := range operation.VariableDefinitions {
			total.add(cost{directives: len(variable.Directives)})
		}
		if refused := total.check(); refused != nil {
			return refused
		}
	}
	return nil
}

func (c *cost) check() *refusal {
	var over []string
	for _, l := range [...]struct {
		what       string
		got, limit int
	}{
		{"fields and fragments", c.nodes, maxNodes},
		{"levels", c.depth, maxDepth},
		{"aliases", c.aliases, maxAliases},
		{"directives", c.directives, maxDirectives},
		{"introspection fields and fragments", c.introspectionNodes, maxIntrospectionNodes},
		{"introspection levels", c.introspectionDepth, maxIntrospectionDepth},
		{"introspection aliases", c.introspectionAliases, maxIntrospectionAliases},
		{"bytes for an alias", c.longestAlias, maxAlias},
	} {
		if l.got > l.limit {
			over = append(over, fmt.Sprintf("at most %d %s", l.limit, l.what))
		}
	}
	if over == nil {
		return nil
	}
	return tooComplex("The operation asks for too much. Ask for " + strings.Join(over, ", ") + " in one request.")
}

func (c *counter) selections(set ast.SelectionSet, introspection bool) cost {
	var total cost
	for _, selection := range set {
		c.visits++
		var part cost
		switch s := selection.(type) {
		case *ast.Field:
			part = c.field(s, introspection)
		case *ast.InlineFragment:
			part = c.selections(s.SelectionSet, introspection)
			part.add(one(introspection, 0, len(s.Directives)))
		case *ast.FragmentSpread:
			part = c.fragment(s.Name, introspection)
			part.add(one(introspection, 0, len(s.Directives)))
		}
		total.add(part)
	}
	return total
}

func (c *counter) field(f *ast.Field, introspection bool) cost {
	aliases, longest := 0, 0
	if f.Alias != f.Name {
		aliases, longest = 1, len(f.Alias)
	}
	inside := introspection || isIntrospectionField(f.Name)
	part := c.selections(f.SelectionSet, inside)
	if inside {
		part.introspectionDepth++
	}
	if !introspection {
		part.depth++
	}
	part.add(one(introspection, aliases, len(f.Directives)))
	part.longestAlias = max(part.longestAlias, longest)
	return part
}

// one is the cost of one selection without what is in it.
func one(introspection bool, aliases, directives int) cost {
	if introspection {
		return cost{introspectionNodes: 1, introspectionAliases: aliases}
	}
	return cost{nodes: 1, aliases: aliases, directives: directives}
}

func (c *counter) fragment(name string, introspection bool) cost {
	use := fragmentUse{name, introspection}
	if known, ok := c.known[use]; ok {
		return known
	}
	fragment, ok := c.fragments[name]
	if !ok {
		return cost{} // validation says so
	}
	c.known[use] = cost{}
	total := c.selections(fragment.SelectionSet, introspection)
	if !introspection {
		total.add(cost{directives: len(fragment.Directives)})
	}
	c.known[use] = total
	return total
}
