{% macro contract_rules(is_brief=false) %}
    {%- set rules = [] -%}
    {%- for column in contract_columns() -%}
        {%- set value = 'sales.' ~ column.name -%}
        {%- set raw = 'sales.raw_' ~ column.name -%}
        {%- set words = type_in_words(column.data_type) -%}
        {%- set found = "'***'" if column.is_personal
            else 'concat("\'", left(' ~ raw ~ ", 60), \"'\")" -%}
        {%- if column.is_required -%}
            {%- do rules.append({
                'code': 'empty_' ~ column.name,
                'severity': 'reject',
                'when': value ~ ' is null'
                    ~ ('' if is_brief or column.data_type == 'string'
                        else ' and ' ~ is_empty_text(raw)),
                'words': "'" ~ column.name ~ " is empty; expected " ~ words ~ "'",
            }) -%}
        {%- endif -%}
        {%- if column.data_type != 'string'
            and not (is_brief and column.is_required) -%}
            {%- do rules.append({
                'code': 'invalid_' ~ column.name,
                'severity': 'reject',
                'when': value ~ ' is null and not ' ~ is_empty_text(raw),
                'words': "concat('" ~ column.name ~ ': expected ' ~ words
                    ~ ", found ', " ~ found ~ ')',
            }) -%}
        {%- endif -%}
        {%- set beyond = [] -%}
        {%- set limits = [] -%}
        {%- for bound, sign, limit in [
            ('minimum', '<', 'least'), ('maximum', '>', 'most')
        ] if column[bound] is not none -%}
            {%- do beyond.append(
                value ~ ' ' ~ sign ~ " cast('" ~ column[bound] ~ "' as "
                ~ column.data_type ~ ')'
            ) -%}
            {%- do limits.append(
                'when ' ~ beyond[-1] ~ " then '" ~ limit ~ ' ' ~ column[bound] ~ "'"
            ) -%}
        {%- endfor -%}
        {%- if beyond -%}
            {%- do rules.append({
                'code': 'out_of_range_' ~ column.name,
                'severity': 'reject',
                'when': beyond | join(' or '),
                'words': "concat('" ~ column.name ~ ": expected at ', case "
                    ~ limits | join(' ') ~ " end, ', found ', " ~ found ~ ')',
            }) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(rules) }}
{% endmacro %}
