with

source as (

    select * from {{ source('retail', 'sales_team') }}

),

stg_retail__sales_people as (

    select
        id as sales_person_id,
        {{ trimmed('first_name') }} as first_name,
        {{ trimmed('last_name') }} as last_name,
        manager_id,
        upper({{ trimmed('is_manager') }}) = 'Y' as is_manager,
        {{ trimmed('address') }} as address,
        {{ trimmed('pincode') }} as pincode,
        joining_date

    from source

)

select * from stg_retail__sales_people
