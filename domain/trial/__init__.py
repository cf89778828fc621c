"""The study's side: its protocol as data, sites, consent forms, holds and slots."""
