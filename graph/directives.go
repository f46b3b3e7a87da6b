package graph

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/pawlauth/pawl/graph/generated"
	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/token"
	"github.com/pawlauth/pawl/internal/user"
)

type claimsKey struct{}

// claimsFrom is the verified access token of a field with @auth, nil elsewhere.
func claimsFrom(ctx context.Context) *token.Claims {
	claims, _ := ctx.Value(claimsKey{}).(*token.Claims)
	return claims
}

// directives are the functions behind the schema's directives. Generated code
// refuses a field whose function is nil.
func (r *Resolver) directives() generated.DirectiveRoot {
	return generated.DirectiveRoot{Auth: r.authDirective, Public: publicDirective}
}

func (r *Resolver) authDirective(ctx context.Context, _ any, next graphql.Resolver, role user.Role) (any, error) {
	claims, err := r.auth.Authenticate(ctx, auth.CallerFrom(ctx))
	if err != nil {
		return nil, err
	}
	if !user.Role(claims.Role).Allows(role) {
		return nil, auth.ErrForbidden
	}
	return next(context.WithValue(ctx, claimsKey{}, claims))
}

func publicDirective(ctx context.Context, _ any, next graphql.Resolver) (any, error) {
	return next(ctx)
}

// checkAccess refuses a schema in which a root field does not say, once, who
// may use it, or in which that could be said elsewhere than on a field: on an
// object it would not hold for fields of interfaces and unions.
func checkAccess(schema *ast.Schema) error {
	var problems []error
	for _, name := range []string{"auth", "public"} {
		if d := schema.Directives[name]; d == nil || len(d.Locations) != 1 || d.Locations[0] != ast.LocationFieldDefinition {
			problems = append(problems, fmt.Errorf("graph: @%s must be defined on FIELD_DEFINITION alone", name))
		}
	}
	for _, root := range []*ast.Definition{schema.Query, schema.Mutation, schema.Subscription} {
		if root == nil {
			continue
		}
		for _, field := range root.Fields {
			if strings.HasPrefix(field.Name, "__") {
				continue
			}
			if n := len(field.Directives.ForNames("auth")) + len(field.Directives.ForNames("public")); n != 1 {
				problems = append(problems, fmt.Errorf("graph: %s.%s must have exactly one of @auth and @public, and has %d",
					root.Name, field.Name, n))
			}
		}
	}
	return errors.Join(problems...)
}

// claimedUser is what the access token knows of its user.
func claimedUser(claims *token.Claims) *user.User {
	return &user.User{ID: claims.UserID, Role: user.Role(claims.Role)}
}

// account is the whole user of an access token: the role is the token's, as it
// is where the row is not read.
func (r *Resolver) account(ctx context.Context, claims *token.Claims) (*user.User, error) {
	row, err := r.auth.User(ctx, claims.UserID)
	if err != nil {
		return nil, err
	}
	row.Role = user.Role(claims.Role)
	return &row, nil
}
