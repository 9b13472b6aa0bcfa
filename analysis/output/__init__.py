"""What all rooms write with: files, folders, pages, figures' style, wording."""
