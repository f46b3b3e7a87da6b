package database_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/database/databasetest"
)

func TestObserve(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *gorm.DB) {
		var told []string
		err := database.Observe(db, time.Now, func(statement string, took time.Duration, err error) {
			if took <= 0 {
				t.Errorf("%s: took %s, want more", statement, took)
			}
			if err != nil {
				statement += " failed"
			}
			told = append(told, statement)
		})
		if err != nil {
			t.Fatal(err)
		}
		var n int
		var row map[string]any
		for _, step := range []struct {
			do   func() error
			want string
		}{
			{func() error { return db.Raw("SELECT COUNT(*) FROM users").Scan(&n).Error }, "select"},
			{func() error { return db.Raw("\n\twith c AS (SELECT 1) SELECT * FROM c").Scan(&n).Error }, "with"},
			{func() error { return db.Exec("UPDATE users SET email = ? WHERE email = ?", "a", "b").Error }, "update"},
			{func() error { return db.Table("users").Where("email = ?", "b").Delete(nil).Error }, "delete"},
			{func() error { return db.Table("users").Where("email = ?", "b").Update("email", "c").Error }, "update"},
			{func() error {
				if err := db.Table("users").Where("email = ?", "b").Take(&row).Error; !errors.Is(err, gorm.ErrRecordNotFound) {
					t.Errorf("got %v, want ErrRecordNotFound", err)
				}
				return nil
			}, "select"},
			{func() error {
				if err := db.Exec("INSERT INTO nowhere VALUES (1)").Error; err == nil {
					t.Error("an INSERT into no table: got no error")
				}
				return nil
			}, "insert failed"},
		} {
			told = nil
			if err := step.do(); err != nil {
				t.Errorf("%s: %v", step.want, err)
			}
			if !slices.Equal(told, []string{step.want}) {
				t.Errorf("got told %q, want %q", told, step.want)
			}
		}
	})
}
