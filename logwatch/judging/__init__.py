"""The judging room: rates in, decisions out. It reads no file but the policy, and no clock."""
